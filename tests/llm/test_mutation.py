"""The author without a model: what it may change, that it says what it does, and that a seed fixes it."""

from __future__ import annotations

import ast
import json
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.agent.program import Written, read_program
from evolve.agent.replies import read_plan
from evolve.llm.base import Materials, Reply, Request, Role
from evolve.llm.mutation import Config
from evolve.plugins import BuildContext, PluginConfig
from evolve.tasks.base import TaskSheet
from evolve.testing.llm_contract import LLMContract

INSIDE = '''\
import math

POINTS = [(0.1, 0.2), (0.5, 0.5), (0.9, 0.3)]
RINGS = [[8, 0.3, 0.0], [16, 0.7, 0.0]]


def größe(x: float, n=3) -> float:
    """Größe von x, „gut“ gemessen."""
    text = "ä" * 2; total = 0.5 * x + len(text)
    for i in range(n):
        if total > 1.5 and i < 2:
            total -= min(x, 1 - x)  # Abzug
        else:
            total = -total / 2
    return max(total, math.sqrt(abs(x)))


def centres(n):
    found = []
    for i in range(n):
        found.append([math.cos(i / n), math.sin(i / n)])
    return found
'''
MARKED = f'"""A toy. π ≈ 3.14159"""\nLIMIT = 26\n\n# EVOLVE-BLOCK-START\n{INSIDE}\n# EVOLVE-BLOCK-END\n\nEND = 1.5\n'
OTHER = (
    MARKED.replace("0.5", "0.75").replace("(0.1, 0.2)", "(0.3, 0.4)").replace("total = -total / 2", "total = total / 7")
)
CONTEXT = BuildContext(base_dir=Path(), seed=1)

steps = st.integers(2, 10**6)
operators = st.sampled_from(["draft", "improve", "debug", "evolve", "fuse"])
sources = st.sampled_from([MARKED, INSIDE, MARKED.replace("\n", "\r\n"), OTHER])


class TestContract(LLMContract):
    def make_config(self, folder: Path) -> PluginConfig:
        return Config()


def materials(
    text: str,
    operator: str = "improve",
    *,
    references: tuple[str, ...] = (),
    failed: bool = False,
    baseline: str = MARKED,
) -> Materials:
    others = tuple({"program.py": reference} for reference in references)
    return Materials(operator, {"program.py": text}, {"program.py": baseline}, others, failed)


def complete(facts: Materials, role: Role = "coder", call_id: str = "n2/coder/1", seed: int = 1) -> str:
    author = Config().build(BuildContext(base_dir=Path(), seed=seed))
    reply = author.complete(Request(call_id, role, (), materials=facts))
    assert reply.model == "mutation"
    assert reply.usage.prompt_tokens == reply.usage.completion_tokens == 0
    return reply.text


def coded(facts: Materials, step: int = 2, attempt: int = 1, seed: int = 1) -> str:
    """The one program in a coder's reply, exactly as it stands there."""
    text = complete(facts, call_id=f"n{step}/coder/{attempt}", seed=seed)
    found = re.fullmatch(r"(`{3,})[^\n]*path=program\.py\n(.*)\1\n", text, re.DOTALL)
    assert found, text
    return found.group(2)


def planned(facts: Materials, step: int = 2) -> dict[str, object]:
    plan = json.loads(complete(facts, "strategist", f"n{step}/strategist/1"))
    assert isinstance(plan, dict)
    return plan


def outside(text: str) -> str:
    return re.sub(r"(EVOLVE-BLOCK-START).*(?=# EVOLVE-BLOCK-END)", r"\1", text, flags=re.DOTALL)


@given(text=sources, operator=operators, step=steps, failed=st.booleans(), reference=st.booleans())
def test_a_mutant_is_another_valid_program_and_the_same_outside_the_markers(
    text: str, operator: str, step: int, failed: bool, reference: bool
) -> None:
    facts = materials(text, operator, references=(OTHER,) if reference else (), failed=failed)
    mutant = coded(facts, step)
    assert ast.dump(ast.parse(mutant)) not in (ast.dump(ast.parse(text)), ast.dump(ast.parse(MARKED)))
    if "EVOLVE-BLOCK" in text:
        assert outside(mutant) == outside(text)
    assert "Größe von x, „gut“ gemessen." in mutant


@settings(max_examples=15, deadline=None)
@given(operator=operators, step=steps)
def test_generations_of_mutants_stay_valid(operator: str, step: int) -> None:
    text = MARKED
    for generation in range(12):
        text = coded(materials(text, operator, references=(OTHER,)), step + generation)
        ast.parse(text)
        assert outside(text) == outside(MARKED)


@given(operator=operators, step=steps, seed=st.integers(0, 1000))
def test_the_same_call_gets_the_same_reply_whatever_the_order_of_files(operator: str, step: int, seed: int) -> None:
    files = {"program.py": INSIDE, "b.py": "B = [1.0, 2.0, 3.0]\n", "a.py": "A = 3\n"}
    one = Materials(operator, files, files)
    other = Materials(operator, dict(reversed(files.items())), dict(reversed(files.items())))
    call = f"n{step}/coder/1"
    assert complete(one, call_id=call, seed=seed) == complete(other, call_id=call, seed=seed)


def test_calls_seeds_and_attempts_get_different_replies() -> None:
    facts = materials(MARKED)
    assert len({coded(facts, step) for step in range(200)}) > 150
    assert len({coded(facts, seed=seed) for seed in range(50)}) > 40
    assert len({coded(facts, attempt=attempt) for attempt in range(1, 51)}) > 40


@given(step=steps, operator=operators)
def test_the_plan_describes_the_edit_that_is_made(step: int, operator: str) -> None:
    facts = materials(MARKED, operator)
    plan, mutant = planned(facts, step), coded(facts, step)
    assert str(plan["hypothesis"]).startswith("mutation: ")
    assert plan.keys() == {"hypothesis", "why", "changes", "keep", "predicted_gain"}
    changes = plan["changes"]
    assert isinstance(changes, list)
    assert changes
    lines = MARKED.splitlines()
    for change in changes:
        path, _, line = change["where"].rpartition(":")
        assert path == "program.py"
        assert 5 <= int(line) <= len(lines)
        assert change["what"] in plan["hypothesis"]
        if found := re.fullmatch(r"replace literal (\S+) by (\S+)", change["what"]):
            old, new = found.groups()
            assert old.lstrip("-") in lines[int(line) - 1]
            assert new in mutant
        if found := re.fullmatch(r"replace operator (\S+) by (\S+)", change["what"]):
            assert found.group(1) in lines[int(line) - 1]
            assert found.group(2) in mutant
        if change["what"].startswith("insert "):
            assert change["what"].removeprefix("insert ").removeprefix("parameter ") in mutant


def test_a_plan_with_a_multiplied_literal_gives_the_product() -> None:
    facts = materials("X = 0.31\n", baseline="")
    seen = 0
    for step in range(30):
        found = re.search(r"multiply literal 0\.31 by (\S+) at line 1", str(planned(facts, step)["hypothesis"]))
        if found:
            seen += 1
            assert float(coded(facts, step).removeprefix("X = ")) == pytest.approx(
                0.31 * float(found.group(1)), rel=1e-4
            )
    assert seen > 10


def test_agents_can_use_every_reply() -> None:
    base = {"program.py": MARKED}
    task = TaskSheet(name="toy", description="", direction="maximize", initial=base)
    for step in range(50):
        plan = read_plan(complete(materials(MARKED), "strategist", f"n{step}/strategist/1"))
        assert plan.title.startswith("mutation: ")
        written = read_program(
            Reply(complete(materials(MARKED), call_id=f"n{step}/coder/1"), "mutation"), "diff", base, task
        )
        assert isinstance(written, Written), written
        assert written.files["program.py"] == coded(materials(MARKED), step)
        assert written.notes == ()


def test_a_reviewer_has_nothing_to_say() -> None:
    assert complete(materials(MARKED), "reviewer", "n2/reviewer/1") == "LGTM"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "# only a comment\n",
        "def broken(:\n    x = 1\n",
        "x = '\x00'",
        "x = '\ud800'",
        "(" * 500,
        "import math\n",
    ],
)
@pytest.mark.parametrize("failed", [False, True])
def test_a_source_with_nothing_to_mutate_is_owned_up_to(text: str, failed: bool) -> None:
    facts = materials(text, failed=failed, baseline=text)
    assert "```" not in complete(facts)
    assert "nothing to mutate" in complete(facts)
    assert planned(facts)["changes"] == []
    assert "nothing to mutate" in str(planned(facts)["hypothesis"])


@given(text=st.text(), operator=operators, failed=st.booleans(), step=steps)
def test_no_text_makes_it_raise(text: str, operator: str, failed: bool, step: int) -> None:
    facts = materials(text, operator, failed=failed, references=(text,), baseline=text)
    for role in ("strategist", "coder", "reviewer"):
        assert complete(facts, role, f"n{step}/{role}/1")
    marked = f"// EVOLVE-BLOCK-START\n{text}\n// EVOLVE-BLOCK-END\n"
    other_language = Materials(operator, {"main.rs": marked}, {"main.rs": marked}, (), failed)
    assert complete(other_language, call_id=f"n{step}/coder/1")


def test_a_broken_program_is_repaired_from_the_initial_one() -> None:
    facts = materials(MARKED.replace("def centres(n):", "def centres(n"), "debug", failed=True)
    for step in range(20):
        assert ast.parse(coded(facts, step))
        assert "take the whole initial program back" in str(planned(facts, step)["hypothesis"])


def test_repairs_take_lines_of_the_initial_program_back() -> None:
    broken = MARKED.replace("(0.9, 0.3)", "(0.9, 0.3, 0.4)").replace("total = -total / 2", "total = -total / 0")
    facts = materials(broken, "debug", failed=True)
    mutants = [coded(facts, step) for step in range(60)]
    assert any("-total / 2" in mutant and "(0.9, 0.3, 0.4)" in mutant for mutant in mutants)
    assert any("-total / 0" in mutant and "(0.9, 0.3, 0.4)" not in mutant for mutant in mutants)


@given(step=steps)
def test_crossover_takes_from_references_only(step: int) -> None:
    far = MARKED.replace("(0.1, 0.2), (0.5, 0.5), (0.9, 0.3)", "(71.0, 72.0), (73.0, 74.0), (75.0, 76.0)")
    facts = materials(MARKED, "fuse", references=(far,), baseline=OTHER)
    changes = planned(facts, step)["changes"]
    assert isinstance(changes, list)
    whats = " ".join(change["what"] for change in changes)
    assert "initial program" not in whats
    crossed = re.search(r"\b7[1-6]\.0\b", coded(facts, step)) is not None
    assert "of a reference" in whats or not crossed


def test_crossover_happens() -> None:
    facts = materials(MARKED, "fuse", references=(OTHER,))
    assert sum("of a reference" in str(planned(facts, step)) for step in range(100)) > 25
    assert any("total = total / 7" in coded(facts, step) for step in range(100))


def test_without_references_nothing_of_the_initial_program_comes_back() -> None:
    facts = materials(MARKED.replace("0.5", "0.25"), "improve", baseline=OTHER)
    assert not any("0.75" in coded(facts, step) or "total / 7" in coded(facts, step) for step in range(100))


def test_files_with_markers_keep_the_others_as_they_are() -> None:
    files = {"free.py": INSIDE, "program.py": MARKED}
    for step in range(50):
        assert "path=program.py\n" in complete(Materials("improve", files, files), call_id=f"n{step}/coder/1")


def test_without_markers_every_python_file_may_change() -> None:
    files = {"a.py": "A = [1.0, 2.0, 3.0]\n", "b.py": "B = 3.5\n", "notes.txt": "7\n"}
    replies = [complete(Materials("improve", files, files), call_id=f"n{step}/coder/1") for step in range(60)]
    assert {re.search(r"path=(\S+)", reply).group(1) for reply in replies} == {"a.py", "b.py"}  # type: ignore[union-attr]


RUST = (
    "const N: usize = 26;\n// EVOLVE-BLOCK-START\n// keep 7 here\nlet r = 0.35 * f32x4(n8, 12);\n// EVOLVE-BLOCK-END\n"
)


@given(step=steps)
def test_in_other_languages_one_number_between_the_markers_changes(step: int) -> None:
    files = {"src/main.rs": RUST}
    reply = complete(Materials("improve", files, files), call_id=f"n{step}/coder/1")
    found = re.fullmatch(r"```path=src/main\.rs\n(.*)```\n", reply, re.DOTALL)
    assert found
    before, after = RUST.splitlines(), found.group(1).splitlines()
    assert [line for line in range(5) if before[line] != after[line]] == [3]
    numbers = re.fullmatch(r"let r = ([\d.]+) \* f32x4\(n8, (\d+)\);", after[3])
    assert numbers
    assert (numbers.group(1) == "0.35") != (numbers.group(2) == "12")


def test_other_languages_without_markers_are_left_alone() -> None:
    files = {"main.rs": "let r = 0.35;\n"}
    assert "nothing to mutate" in complete(Materials("improve", files, files))


def test_a_program_with_fences_in_it_arrives_whole() -> None:
    text = f'DOC = """\n```\ncode\n```\n"""\n{INSIDE}'
    base: Mapping[str, str] = {"my program.py": text}
    task = TaskSheet(name="toy", description="", direction="maximize", initial=base)
    for step in range(20):
        reply = complete(Materials("improve", base, base), call_id=f"n{step}/coder/1")
        written = read_program(Reply(reply, "mutation"), "whole", base, task)
        assert isinstance(written, Written), written
        assert written.files["my program.py"].startswith('DOC = """\n```\ncode\n```\n"""\n')


def test_markers_of_a_reference_open_nothing() -> None:
    text = textwrap.dedent("""\
        # EVOLVE-BLOCK-START
        def f(x):
            return x * 0.5
        # EVOLVE-BLOCK-END
        """)
    split = text.replace("    return", "    # EVOLVE-BLOCK-END\n    y = 1\n    # EVOLVE-BLOCK-START\n    return")
    facts = materials(text, "fuse", references=(split,), baseline=text)
    assert all(coded(facts, step).count("EVOLVE-BLOCK") == 2 for step in range(100))


def test_a_program_does_not_grow_for_ever() -> None:
    text = INSIDE + "# filled\n" * ((3800 - len(INSIDE)) // 9)
    for step in range(50):
        text = coded(materials(text, "draft"), step)
        assert len(text.encode()) <= 4000
    text = "# as long as it was given\n" * 200 + INSIDE
    assert len(coded(materials(text, baseline=text))) > 5000


def test_it_does_not_touch_how_the_program_is_started() -> None:
    guarded = f'{INSIDE}\n\nif __name__ == "__main__":\n    print(json.dumps(centres(26)))\n'
    tail = guarded[len(INSIDE) :]
    assert all(coded(materials(guarded), step).endswith(tail) for step in range(100))

"""Templates are strict, complete, and say what they said when last looked at.

After a change of the templates that is meant: EVOLVE_UPDATE_GOLDEN=1 pytest tests/agent/test_prompts.py, then read the diff.
"""

from __future__ import annotations

import os
from pathlib import Path

import jinja2.meta
import pytest
from agent.briefs import PLAN

from evolve.agent.brief import Brief, Plan
from evolve.agent.context import facts, fit
from evolve.agent.edits import apply_edits, read_edits
from evolve.agent.novelty import Tried
from evolve.agent.replies import Refusal, fenced_blocks
from evolve.agent.stepwise import Part
from evolve.errors import PromptError
from evolve.prompts import Prompts, fenced, number
from evolve.resources import data_dir

GOLDEN = Path(__file__).parent / "golden"
TEMPLATES = sorted(path.relative_to(data_dir("prompts")).as_posix() for path in data_dir("prompts").rglob("*.j2"))
COMMON = {
    "task", "operator", "files", "markers", "parent", "best_score", "attempts", "trajectory", "beside", "references",
    "lessons", "progress", "noise",
}  # fmt: skip
OPERATORS = ("draft", "improve", "debug", "evolve", "fuse", "aggregate")
GIVEN = {
    **{f"strategist/{operator}.j2": COMMON | {"alone", "only", "refused"} for operator in OPERATORS},
    "strategist/refused.j2": {"reason"},
    "strategist/repeated.j2": {"twin"},
    "coder/whole.j2": COMMON | {"plan", "only", "refused"},
    "coder/diff.j2": COMMON | {"plan", "only", "refused"},
    "coder/stepwise.j2": COMMON | {"plan", "only", "refused", "part", "number", "parts", "done"},
    "coder/merge.j2": COMMON | {"plan", "only", "refused", "problems"},
    "coder/refused.j2": {"reason", "mode", "only"},
    "coder/alone.j2": set(),
    "analyst/review.j2": COMMON | {"plan", "gain", "before", "diff"},
    "analyst/system.j2": set(),
    "reviewer/review.j2": COMMON | {"plan"},
    "reviewer/integrity.j2": COMMON | {"score", "suspicion"},
    "strategist/system.j2": set(),
    "coder/system.j2": set(),
    "coder/example_request.j2": {"alone"},
    "coder/example_reply.j2": {"alone"},
    "reviewer/system.j2": set(),
}
"""Every template the code renders, and what it is given."""


def used(prompts: Prompts, name: str) -> set[str]:
    """Variables a template reads, those of the templates it includes among them."""
    assert prompts.environment.loader
    source, _, _ = prompts.environment.loader.get_source(prompts.environment, name)
    tree = prompts.environment.parse(source)
    found = jinja2.meta.find_undeclared_variables(tree)
    for part in jinja2.meta.find_referenced_templates(tree):
        assert part is not None
        found |= used(prompts, part)
    # `shown` is set by the template that includes shared/result.j2.
    return found - {"shown"}


@pytest.mark.parametrize("name", GIVEN)
def test_a_template_reads_nothing_it_is_not_given(name: str, prompts: Prompts) -> None:
    assert used(prompts, name) <= GIVEN[name]


def test_every_fact_is_read_by_some_template_and_every_template_is_used(
    prompts: Prompts, briefs: dict[str, Brief]
) -> None:
    read = set[str]().union(*(used(prompts, name) for name in GIVEN))
    # `operator` is there for templates of third parties.
    assert read | {"operator"} == set[str]().union(*GIVEN.values())
    assert facts(briefs["improve"]).keys() == COMMON
    shared = {name for name in TEMPLATES if name.startswith("shared/") or name.endswith("/base.j2")}
    assert set(TEMPLATES) == GIVEN.keys() | shared


PART = Part("pack", ("add r to x in odd rows", "n is 26"))
PLANNING = {"alone": None, "only": None, "refused": ""}
CASES = [
    ("draft", "strategist/draft.j2", PLANNING),
    ("beside", "strategist/draft.j2", PLANNING),
    ("improve", "strategist/improve.j2", PLANNING),
    ("two-files", "strategist/improve.j2", PLANNING),
    ("debug", "strategist/debug.j2", PLANNING),
    ("timed-out", "strategist/debug.j2", PLANNING),
    ("evolve", "strategist/evolve.j2", PLANNING),
    ("fuse", "strategist/fuse.j2", PLANNING),
    ("aggregate", "strategist/aggregate.j2", PLANNING),
    ("draft-alone", "strategist/draft.j2", {"alone": "whole", "only": "program.py", "refused": ""}),
    ("improve-alone", "strategist/improve.j2", {"alone": "diff", "only": "program.py", "refused": "no edits"}),
    ("-", "strategist/repeated.j2", {"twin": Tried(PLAN, "n4", "scored", 2.25)}),
    ("-beside", "strategist/repeated.j2", {"twin": Tried(PLAN)}),
    ("fuse", "coder/diff.j2", {"only": "program.py", "refused": ""}),
    (
        "aggregate",
        "coder/stepwise.j2",
        {"only": "program.py", "refused": "", "part": PART, "number": 2, "parts": 3, "done": ["GAP"]},
    ),
    (
        "improve",
        "coder/merge.j2",
        {"only": "program.py", "refused": "", "problems": "these names are used and defined nowhere: gap"},
    ),
    (
        "improve",
        "analyst/review.j2",
        {"gain": -0.05, "before": 2.25, "diff": "@@ -8 +8 @@\n-    side = 6\n+    side = 7"},
    ),
    ("failed", "analyst/review.j2", {"gain": None, "before": None, "diff": "@@ -1 +1 @@"}),
    ("draft", "coder/whole.j2", {"only": "program.py", "refused": ""}),
    ("two-files", "coder/whole.j2", {"only": None, "refused": "there is no SEARCH/REPLACE block in the reply"}),
    ("improve", "coder/diff.j2", {"only": "program.py", "refused": ""}),
    ("debug", "coder/diff.j2", {"only": "program.py", "refused": ""}),
    ("two-files", "coder/diff.j2", {"only": None, "refused": ""}),
    ("improve", "reviewer/review.j2", {}),
    ("two-files", "reviewer/review.j2", {}),
    ("-", "strategist/refused.j2", {"reason": "there is no JSON object in the reply"}),
    (
        "-",
        "coder/refused.j2",
        {"reason": "block 1 (program.py): SEARCH and REPLACE are the same", "mode": "diff", "only": "program.py"},
    ),
    ("-", "coder/refused.j2", {"reason": "the reply is empty", "mode": "whole", "only": "program.py"}),
    ("-", "coder/refused.j2", {"reason": "the reply is empty", "mode": "stepwise", "only": "program.py"}),
]


@pytest.mark.parametrize(("case", "name", "more"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_golden(
    case: str, name: str, more: dict[str, object], prompts: Prompts, briefs: dict[str, Brief], plan: Plan
) -> None:
    given = dict(more)
    if case.startswith("-"):
        text = prompts.render(name, **given)
        case = f"{more.get('mode', 'plan')}{case[1:]}"
    else:
        if "plan" in GIVEN[name]:
            given["plan"] = plan
        text, _ = fit(
            briefs[case.removesuffix("-alone")], 20_000, lambda shown: prompts.render(name, **{**facts(shown), **given})
        )
    golden = GOLDEN / f"{name.replace('/', '-').removesuffix('.j2')}.{case}.md"
    if os.environ.get("EVOLVE_UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text + "\n", encoding="utf-8")
    assert text + "\n" == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("alone", [False, True])
def test_the_worked_example_of_an_edit_applies_and_carries_out_its_plan(prompts: Prompts, alone: bool) -> None:
    request, reply = (prompts.render(f"coder/example_{half}.j2", alone=alone) for half in ("request", "reply"))
    assert ("# Plan to carry out" not in request) is reply.startswith("Keep 12 digits") is alone
    [program] = fenced_blocks(request)
    edits = read_edits(reply, ["main.py"], ["main.py"])
    assert not isinstance(edits, Refusal)
    files = apply_edits({"main.py": program.text}, edits)
    assert not isinstance(files, Refusal)
    for part in ("import math", "DIGITS = 12", "math.fsum(radii)", "def area"):
        assert part in files["main.py"]


def test_the_users_folder_comes_first(tmp_path: Path) -> None:
    (tmp_path / "coder").mkdir()
    (tmp_path / "coder" / "system.j2").write_text("Be brief, {{ name }}. {% include 'strategist/system.j2' %}")
    prompts = Prompts(tmp_path)
    assert prompts.render("coder/system.j2", name="Ada").startswith("Be brief, Ada. You plan")
    own, builtin = prompts.digests(), Prompts().digests()
    assert own.keys() == builtin.keys() == set(TEMPLATES)
    assert [name for name in own if own[name] != builtin[name]] == ["coder/system.j2"]
    assert prompts.has("coder/system.j2")
    assert not prompts.has("strategist/mix.j2")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("a\n{{ b }}", r"x\.j2 \(line 2 of x\.j2\): 'b' is undefined"),
        ("{{ given.nothing }}", r"has no attribute 'nothing'"),
        ("a\n\n{% if %}", r"x\.j2:3: Expected an expression"),
        ("{% include 'y.j2' %}", r"x\.j2: there is no template y\.j2"),
        ("{{ none | number }}", r"x\.j2 \(line 1 of x\.j2\): "),
        ("{{ 1 / 0 }}", "division by zero"),
    ],
)
def test_a_faulty_template_is_named_with_its_fault(tmp_path: Path, template: str, message: str) -> None:
    (tmp_path / "x.j2").write_text(template)
    with pytest.raises(PromptError, match=message) as error:
        Prompts(tmp_path).render("x.j2", given="text")
    assert str(tmp_path) in error.value.hint


def test_missing_templates_and_folders_are_prompt_errors(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"no such folder of prompts"):
        Prompts(tmp_path / "none")
    with pytest.raises(PromptError, match=r"there is no template coder/none\.j2"):
        Prompts().render("coder/none.j2")


def test_facts_are_data_to_a_template(tmp_path: Path) -> None:
    (tmp_path / "x.j2").write_text("{{ text | fenced('md') }}")
    assert Prompts(tmp_path).render("x.j2", text="{{ 1 }}\n```\n<b>") == "````md\n{{ 1 }}\n```\n<b>\n````"


def test_filters() -> None:
    assert fenced("\nx\n") == "```\nx\n```"
    assert [number(value) for value in (2.0, 2.1666666666666665, -1e-9)] == ["2", "2.166666667", "-1e-09"]

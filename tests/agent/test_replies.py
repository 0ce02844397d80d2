"""Any reply is read as far as it makes sense, and never raises."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.agent.brief import Change, Plan
from evolve.agent.lenient_json import objects
from evolve.agent.replies import Refusal, fenced_blocks, named_path, prose_plan, read_plan, without_thoughts

PLAN = {
    "hypothesis": "Shift odd rows.",
    "why": "Denser.",
    "changes": [{"where": "pack", "what": "x += r"}],
    "keep": "the interface",
    "predicted_gain": 0.2,
}
READ = Plan("Shift odd rows.", "Denser.", (Change("pack", "x += r"),), "the interface", 0.2)
TEXT = json.dumps(PLAN, indent=1)


@pytest.mark.parametrize(
    "reply",
    [
        TEXT,
        f"```json\n{TEXT}\n```",
        f"Sure! Here is {{my}} plan:\n{TEXT}\nGood luck {{x}}",
        f'<think>Maybe {{"hypothesis": "no"}}?</think>\n{TEXT}',
        f'Maybe {{"hypothesis": "no"}}?</think>\n{TEXT}',
        json.dumps({"plan": PLAN}),
        json.dumps([PLAN, {"hypothesis": "another"}]),
        TEXT.replace('"', "'"),
        TEXT.replace("}", ",}").replace("]", ",]"),
        TEXT.replace('"where"', "where").replace('"keep"', "keep"),
        TEXT.replace('"Denser."', '"""Denser."""'),
        TEXT.replace('"Denser."', '"Denser.", // a comment\n/* another */'),
        TEXT.replace('",\n "keep"', '"\n "keep"'),
        TEXT.replace('],\n "keep"', ']\n "keep"'),
        TEXT.rstrip("}\n"),
        TEXT.replace("0.2", '"0.2"'),
        TEXT.replace("\n", "\r\n"),
    ],
)
def test_a_plan_is_found_however_it_is_wrapped_or_damaged(reply: str) -> None:
    assert read_plan(reply) == READ


@given(cut=st.integers(len('{\n "hypothesis": "S'), len(TEXT)))
def test_a_plan_cut_off_anywhere_after_its_hypothesis_began_is_a_plan(cut: int) -> None:
    plan = read_plan(TEXT[:cut])
    assert isinstance(plan, Plan)
    assert READ.hypothesis.startswith(plan.hypothesis)
    assert READ.why.startswith(plan.why)


def test_python_constants_bare_words_and_wrong_brackets_are_read() -> None:
    reply = "{'hypothesis': 'it's on', 'predicted_gain': None, 'keep': the rest, 'why': [True, 'so']}"
    assert read_plan(reply) == Plan("it's on", "so", keep="the rest")
    assert read_plan("{'hypothesis': 'go', 'why': ['a', 'b'}") == Plan("go", "a; b")


def test_unescaped_quotes_and_newlines_inside_strings_are_kept() -> None:
    plan = read_plan('{"hypothesis": "use the "fast" mode\nand more", "why": "it\\u0027s \\"good\\" \\q"}')
    assert plan == Plan('use the "fast" mode\nand more', 'it\'s "good" q')


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        ("do it", (Change("", "do it"),)),
        (
            ["a", {"where": "f", "what": "b"}, {"g": "c"}, 3, None, {}],
            (Change("", "a"), Change("f", "b"), Change("", "c"), Change("", "3")),
        ),
        ({"where": ["f", "g"], "what": {"x": "y"}}, (Change("f; g", "y"),)),
        (None, ()),
        (True, ()),
    ],
)
def test_changes_of_any_shape_become_changes(raw: object, read: tuple[Change, ...]) -> None:
    plan = read_plan(json.dumps({"hypothesis": "go", "changes": raw}))
    assert isinstance(plan, Plan)
    assert plan.changes == read


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        ("0.5", 0.5),
        ('"-1e-3"', -0.001),
        ('"5%"', None),
        ("null", None),
        ("true", None),
        ("NaN", None),
        ("1e999", None),
        ("[1]", None),
    ],
)
def test_only_a_finite_number_is_a_predicted_gain(raw: str, read: float | None) -> None:
    plan = read_plan('{"hypothesis": "go", "predicted_gain": ' + raw + "}")
    assert isinstance(plan, Plan)
    assert plan.predicted_gain == read


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("I would shift rows.", "no JSON object"),
        ("{}", "no JSON object"),
        ('{"idea": "x"}', "no `hypothesis`"),
        ('{"hypothesis": 3}', "no `hypothesis`"),
        ("", "no JSON"),
    ],
)
def test_what_is_no_plan_is_refused_with_the_reason(reply: str, why: str) -> None:
    plan = read_plan(reply)
    assert isinstance(plan, Refusal)
    assert why in plan.reason


def test_prose_makes_a_plan_of_its_first_sentence() -> None:
    plan = prose_plan(
        "## Plan\n\n1. **Shift** odd rows by half a cell. This is denser.\n```python\nx = 1\n```\nThen grow them."
    )
    assert plan == Plan("Plan Shift odd rows by half a cell.", "This is denser. Then grow them.")


@pytest.mark.parametrize(
    "reply",
    ["", "```python\nfor all of them do it\n```", '{"a": "some words in here"}', "<think>a b c d", "12 34 !!", "OK."],
)
def test_without_prose_there_is_no_prose_plan(reply: str) -> None:
    assert prose_plan(reply) is None


def test_plans_are_bounded_and_clean() -> None:
    plan = read_plan(json.dumps({"hypothesis": "x" * 9999, "why": "a\x1b[31mb\x00", "changes": ["c"] * 99}))
    assert isinstance(plan, Plan)
    assert (len(plan.hypothesis), plan.why, len(plan.changes)) == (500, "ab", 12)


def test_thoughts_in_code_are_no_thoughts() -> None:
    reply = "```python\nprint('</think>')\n```"
    assert without_thoughts(reply) == reply
    assert without_thoughts("<think>cut off") == ""


def test_fences_follow_commonmark() -> None:
    reply = "main.py\n````python path=a.py\n```\ninner\n```\n````\ntext\n~~~\nx\n~~~\n```\nopen"
    blocks = fenced_blocks(reply)
    assert [(block.info, block.text, block.before, block.closed) for block in blocks] == [
        ("python path=a.py", "```\ninner\n```", "main.py", True),
        ("", "x", "text", True),
        ("", "open", "", False),
    ]
    assert [block.language for block in blocks] == ["python", "", ""]


@pytest.mark.parametrize(
    ("hint", "path"),
    [
        ("python path=main.py", "main.py"),
        ('python path="./lib/a.py"', "lib/a.py"),
        ("file: a.py", "lib/a.py"),
        ("**main.py**:", "main.py"),
        ("### `a.py`", "lib/a.py"),
        ("Now I change main.py as follows:", "main.py"),
        ("new_file.py", "new_file.py"),
        ("python", None),
        ("use 0.5 here", None),
        ("0.5", None),
        ("", None),
    ],
)
def test_a_hint_names_a_file(hint: str, path: str | None) -> None:
    assert named_path(hint, ("main.py", "lib/a.py")) == path


json_like = st.lists(
    st.sampled_from(
        [*"{}[]\"':,\\ \n/*", '"""', "hypothesis", "why", "1e9", "true", "\\u12", "<think>", "</think>", "```"]
    ),
    max_size=40,
).map("".join)


@given(reply=st.text() | json_like)
def test_no_reply_raises(reply: str) -> None:
    plan = read_plan(reply)
    assert isinstance(plan, Plan | Refusal)
    prose_plan(reply)
    fenced_blocks(reply)
    named_path(reply, ["a.py"])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


@given(value=st.dictionaries(st.text(), values, min_size=1), before=st.text(alphabet="abc .\n"), after=st.text())
def test_well_formed_json_is_read_as_json(value: dict[str, object], before: str, after: str) -> None:
    assert next(objects(before + json.dumps(value) + after)) == value


@pytest.mark.parametrize(
    "reply",
    [
        "{" * 100_000,
        '{"a":' * 5000,
        '{"a":' + "[" * 5000,
        '{"a": ' + "9" * 5000 + "}",
        "{" + '"' * 20_000,
        '{"a": "' + '" ' * 20_000,
    ],
)
def test_deep_and_long_nonsense_is_survived(reply: str) -> None:
    assert isinstance(read_plan(reply), Refusal)


def test_an_integer_too_large_for_a_float_is_no_gain() -> None:
    plan = read_plan('{"hypothesis": "go", "predicted_gain": ' + "9" * 400 + "}")
    assert isinstance(plan, Plan)
    assert plan.predicted_gain is None or math.isfinite(plan.predicted_gain)

"""What may not change does not change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.agent import markers
from evolve.agent.markers import Enforced, enforce
from evolve.agent.replies import Refusal
from evolve.errors import ConfigError

START, END = "# EVOLVE-BLOCK-START", "# EVOLVE-BLOCK-END"
MARKED = f"import json\n{START}\nx = 1\n{END}\njson.dump(x)\n    // EVOLVE-BLOCK-START here\ny = 2\n    // EVOLVE-BLOCK-END\n"
INITIAL = {"main.py": MARKED, "judge.py": "secret\n", "free.py": "z = 1\n"}
PROTECTED = frozenset({"judge.py"})


def kept(new: dict[str, str], *, splice: bool = True) -> Enforced:
    found = enforce(INITIAL, new, PROTECTED, splice=splice)
    assert isinstance(found, Enforced), found.reason
    return found


def reason(new: dict[str, str], *, splice: bool = True) -> str:
    found = enforce(INITIAL, new, PROTECTED, splice=splice)
    assert isinstance(found, Refusal)
    return found.reason


@pytest.mark.parametrize("splice", [True, False])
def test_text_between_markers_and_files_without_them_are_free(splice: bool) -> None:
    new = {**INITIAL, "main.py": MARKED.replace("x = 1", "x = 2\nx += 1").replace("y = 2\n", ""), "free.py": "z = 2\n"}
    assert kept(new, splice=splice) == Enforced(new)


def test_text_outside_is_put_back_in_whole_files_and_refused_in_edits() -> None:
    new = {"main.py": MARKED.replace("x = 1", "x = 2").replace("json.dump", "cheat")}
    found = kept(new)
    assert found.files["main.py"] == MARKED.replace("x = 1", "x = 2")
    assert "put back" in found.notes[0]
    assert "outside the EVOLVE-BLOCK markers" in reason(new, splice=False)


def test_blanks_at_line_ends_outside_are_no_change() -> None:
    found = kept({"main.py": MARKED.replace("import json", "import json  ").replace("x = 1", "x = 2")}, splice=False)
    assert found.files["main.py"] == MARKED.replace("x = 1", "x = 2")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x = 2\n", "must keep its 2 pair(s)"),
        (f"{START}\nx = 2\n{END}\n", "the reply has 1"),
        (f"{START}\n{START}\n{END}\n", "inside the block"),
        (f"{END}\n", "without a START"),
        (f"{START}\n", "without an END"),
    ],
)
def test_markers_that_got_lost_are_refused(text: str, why: str) -> None:
    assert why in reason({"main.py": text})


def test_protected_files_stay_and_missing_ones_come_back() -> None:
    assert "judge.py is protected" in reason({"judge.py": "hacked"})
    assert kept({}).files == INITIAL
    assert kept({"judge.py": "secret"}).files["judge.py"] == "secret\n"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../x.py",
        "a/../b.py",
        "a//b.py",
        ".hidden",
        "a b.py",
        "",
        "x" * 300,
        "a\\b.py",
        "C:x",
        "a/",
        "main.py\n",
        "ü.py",
    ],
)
def test_files_with_odd_names_are_refused(path: str) -> None:
    assert "cannot be named" in reason({path: "x"})


def test_new_files_are_kept_within_bounds() -> None:
    assert kept({"lib/help_1.py": "x"}).files["lib/help_1.py"] == "x"
    assert "too many" in reason({f"f{number}.py": "" for number in range(51)})
    assert "characters" in reason({"big.py": "x" * 1_100_000})
    assert "a file and a folder" in reason({"a": "x", "a/b.py": "y"})


@pytest.mark.parametrize("text", [f"{START}\n{START}\n{END}", END, START, f"{START}\n{END}\n{END}"])
def test_a_task_with_markers_that_do_not_pair_is_an_error_at_start(text: str) -> None:
    with pytest.raises(ConfigError, match=r"main.py: line \d") as error:
        markers.check({"main.py": text, "ok.py": MARKED})
    assert "ok.py" not in error.value.message


def test_markers_in_code_are_no_markers() -> None:
    assert not markers.has_markers({"a.py": 'print("EVOLVE-BLOCK-START")'})
    assert markers.has_markers({"a.html": "<!-- EVOLVE-BLOCK-START -->"})
    markers.check({"a.py": 'print("EVOLVE-BLOCK-START")', "b.py": MARKED})


lines = st.lists(
    st.sampled_from(["a", "", START, END, "import json", "json.dump(x)", "cheat"]) | st.text(max_size=5), max_size=12
)


@given(text=lines.map("\n".join), splice=st.booleans())
def test_outside_text_never_changes(text: str, splice: bool) -> None:
    found = enforce(INITIAL, {"main.py": text}, PROTECTED, splice=splice)
    if isinstance(found, Enforced):
        outside = [
            part.partition("EVOLVE-BLOCK-END")[2]
            for part in ("EVOLVE-BLOCK-END" + found.files["main.py"]).split("EVOLVE-BLOCK-START")
        ]
        assert outside == [
            part.partition("EVOLVE-BLOCK-END")[2] for part in ("EVOLVE-BLOCK-END" + MARKED).split("EVOLVE-BLOCK-START")
        ]

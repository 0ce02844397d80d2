"""SEARCH/REPLACE edits apply exactly, all or none."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from evolve.agent.edits import Edit, apply_edits, conflict_markers, has_edits, read_edits
from evolve.agent.replies import Refusal

PROGRAM = """import math

clr = 0.15
lr = 0.1


def step(x):
    for i in range(3):
        x -= lr
    return x


def other(x):
    for i in range(4):
        x -= lr
    return x
"""
FILES = {"main.py": PROGRAM}


def block(search: str, replace: str) -> str:
    halves = (half + "\n" if half else "" for half in (search, replace))
    return "<<<<<<< SEARCH\n{}=======\n{}>>>>>>> REPLACE\n".format(*halves)


def edited(reply: str, files: dict[str, str] = FILES) -> dict[str, str] | Refusal:
    edits = read_edits(reply, tuple(files), sorted(files))
    return edits if isinstance(edits, Refusal) else apply_edits(files, edits)


def text(reply: str) -> str:
    files = edited(reply)
    assert not isinstance(files, Refusal), files.reason
    return files["main.py"]


def reason(reply: str, files: dict[str, str] = FILES) -> str:
    refusal = edited(reply, files)
    assert isinstance(refusal, Refusal)
    return refusal.reason


def test_whole_lines_match_not_parts_of_them() -> None:
    assert text(block("lr = 0.1", "lr = 0.2")) == PROGRAM.replace("\nlr = 0.1\n", "\nlr = 0.2\n")


def test_trailing_blanks_are_ignored() -> None:
    assert text(block("lr = 0.1   \t", "lr = 0.2")) == PROGRAM.replace("\nlr = 0.1\n", "\nlr = 0.2\n")


def test_an_empty_replacement_deletes_and_swallows_nothing() -> None:
    new = text(block("clr = 0.15", "") + "\n" + block("lr = 0.1", "lr = 0.3"))
    assert new == PROGRAM.replace("clr = 0.15\n", "").replace("\nlr = 0.1\n", "\nlr = 0.3\n")


def test_text_that_occurs_twice_is_refused_with_its_lines() -> None:
    assert "occurs 2 times (lines 9, 15)" in reason(block("        x -= lr", "        x -= 2 * lr"))


def test_text_that_is_not_there_is_refused_with_what_comes_closest() -> None:
    said = reason(block("lr = 0.10", "lr = 0.2"))
    assert "`lr = 0.10` is not in the file" in said
    assert "line 4: `lr = 0.1`" in said


def test_lines_that_do_not_follow_each_other_are_refused() -> None:
    assert "not one after the other" in reason(block("import math\nlr = 0.1", "x"))


def test_all_blocks_or_none_and_every_fault_is_told() -> None:
    said = reason(block("lr = 0.1", "lr = 0.2") + block("nothing like it", "x") + block("        x -= lr", "y"))
    assert "block 1" not in said
    assert "block 2 (main.py)" in said
    assert "block 3 (main.py)" in said


def test_blocks_that_overlap_are_refused() -> None:
    assert "two blocks change line 4" in reason(block("clr = 0.15\nlr = 0.1", "a = 1") + block("lr = 0.1", "b = 2"))


def test_a_search_equal_to_its_replacement_is_refused() -> None:
    assert "the same" in reason(block("lr = 0.1", "lr = 0.1"))


def test_a_block_sent_twice_counts_once_and_an_idle_one_not_at_all() -> None:
    good, idle = block("lr = 0.1", "lr = 0.2"), block("import math", "import math")
    assert text(good + idle + good) == text(good)
    assert "block 1 (main.py): SEARCH and REPLACE are the same" in reason(idle + idle)


def test_an_empty_search_makes_only_new_or_empty_files() -> None:
    assert "SEARCH half is empty" in reason(block("", "x = 1"))
    assert edited("path=new.py\n" + block("", "x = 1")) == {**FILES, "new.py": "x = 1"}
    assert "no such file" in reason("path=new.py\n" + block("x", "y"), {**FILES, "other.py": ""})


def test_a_made_up_name_or_turned_arrows_do_not_spoil_a_block_that_fits() -> None:
    wanted = PROGRAM.replace("\nlr = 0.1\n", "\nlr = 0.2\n")
    reply = "pack.py\n" + block("lr = 0.1", "lr = 0.2")
    assert text(reply) == wanted
    assert text(reply.replace("<", ">")) == wanted


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("Just do it.", "no SEARCH/REPLACE block"),
        ("<<<<<<< SEARCH\nlr = 0.1\n=======\nlr = 0.2\n", "not closed"),
        ("<<<<<<< SEARCH\nlr = 0.1\n", "not closed"),
        ("<<<<<<< SEARCH\nlr = 0.1\n>>>>>>> REPLACE\n", "no ======="),
        ("<<<<<<< SEARCH\nlr = 0.1\n=======\na\n=======\nb\n>>>>>>> REPLACE\n", "more than one ======="),
        ("<<<<<<< SEARCH\na\n=======\nb\n<<<<<<< SEARCH\nc\n=======\nd\n>>>>>>> REPLACE\n", "before the next one"),
        ("=======\nb\n>>>>>>> REPLACE\n", "without its <<<<<<< SEARCH"),
        (block("lr = 0.1", "lr = 0.2") * 101, "more than 100"),
    ],
)
def test_malformed_blocks_are_refused(reply: str, why: str) -> None:
    assert why in reason(reply)


def test_fences_around_blocks_and_around_halves_are_no_part_of_them() -> None:
    wanted = PROGRAM.replace("\nlr = 0.1\n", "\nlr = 0.2\n")
    assert text("Here:\n```python\n" + block("lr = 0.1", "lr = 0.2") + "```\n") == wanted
    assert text(block("```python\nlr = 0.1\n```", "```python\nlr = 0.2\n```")) == wanted


def test_a_block_belongs_to_the_file_named_above_it() -> None:
    files = {"a.py": "x = 1\ny = 1", "lib/b.py": "x = 1\ny = 1"}
    reply = "**lib/b.py**\n" + block("x = 1", "x = 2") + "\n" + block("y = 1", "y = 2")
    assert edited(reply, files) == {"a.py": "x = 1\ny = 1", "lib/b.py": "x = 2\ny = 2"}
    assert edited("In `b.py`:\n```\n" + block("x = 1", "x = 2") + "```", files) == {**files, "lib/b.py": "x = 2\ny = 1"}
    assert edited("```python path=a.py\n" + block("x = 1", "x = 3") + "```", files) == {**files, "a.py": "x = 3\ny = 1"}
    assert "does not say which file" in reason(block("x = 1", "x = 2"), files)


def test_prose_with_a_number_names_no_file() -> None:
    assert text("Use 0.2:\n0.2\n" + block("lr = 0.1", "lr = 0.2")) == PROGRAM.replace("\nlr = 0.1\n", "\nlr = 0.2\n")


@given(shift=st.sampled_from(["  ", "    ", "\t"]), add=st.booleans())
def test_one_indentation_common_to_a_block_does_not_matter(shift: str, add: bool) -> None:
    search, replace = (
        "    for i in range(3):\n        x -= lr",
        "    for i in range(5):\n        x -= lr / 2\n\n    x += 1",
    )
    change = (lambda line: shift + line) if add else (lambda line: line.removeprefix("    "))
    moved = ["\n".join(change(line) if line else line for line in half.split("\n")) for half in (search, replace)]
    assert text(block(*moved)) == text(block(search, replace))


def test_a_replacement_less_indented_than_its_search_is_not_moved() -> None:
    assert isinstance(edited(block("          for i in range(3):", "x = 1")), Refusal)


lines = st.lists(st.sampled_from(["a", "b", "  a", "c = 1", "", "d(x)", "\te"]), min_size=1, max_size=12)


@given(before=lines, middle=lines, after=lines, new=lines)
def test_an_edit_changes_its_lines_and_no_other(
    before: list[str], middle: list[str], after: list[str], new: list[str]
) -> None:
    middle = ["first", *middle, "last"]
    assume(new != middle)
    program = "\n".join([*before, *middle, *after])
    files = apply_edits({"f": program}, [Edit("f", tuple(middle), tuple(new))])
    assert files == {"f": "\n".join([*before, *new, *after])}


@given(order=st.permutations(range(3)))
def test_the_order_of_blocks_does_not_matter(order: list[int]) -> None:
    blocks = [block("clr = 0.15", "clr = 1"), block("lr = 0.1", "a = 1\nb = 2"), block("import math", "")]
    assert text("".join(blocks[at] for at in order)) == text("".join(blocks))


pieces = st.sampled_from(
    [
        "<<<<<<< SEARCH",
        "=======",
        ">>>>>>> REPLACE",
        "lr = 0.1",
        "",
        "```",
        "```python path=main.py",
        "main.py",
        "x = 1",
        "  return x",
    ]
)


@given(reply=st.lists(pieces | st.text(max_size=8), max_size=20).map("\n".join))
def test_no_reply_leaves_a_marker_or_raises(reply: str) -> None:
    files = edited(reply)
    if not isinstance(files, Refusal):
        assert not re.search(r"^(<{7}|>{7}|={7})", files["main.py"], re.MULTILINE)
    has_edits(reply)


def test_leftover_markers_are_found_unless_they_were_there() -> None:
    rst = "Title\n=======\n"
    assert (
        conflict_markers({"a.py": "x\n>>>>>>> REPLACE\n"}, {})
        == "a.py has a marker line of an edit block in it: `>>>>>>> REPLACE`"
    )
    assert conflict_markers({"a.rst": rst + "text"}, {"a.rst": rst}) is None
    assert conflict_markers({"a.rst": rst + "Title\n======="}, {"a.rst": rst}) is not None
    assert conflict_markers({"a.py": "x = a >> b\ny == z"}, {}) is None


def test_a_huge_program_is_searched_quickly() -> None:
    program = "\n".join(f"x{number} = {number}" for number in range(20_000))
    assert "is not in the file" in reason(block("y = 1", "y = 2"), {"main.py": program})

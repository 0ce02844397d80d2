"""The same bug has the same signature wherever it happens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.graph import Status
from evolve.memory.signature import error_signature
from evolve.tasks.base import Evaluation

CRASH = """warming up
Traceback (most recent call last):
  File "/tmp/a1/program.py", line 40, in <module>
    main()
  File "/tmp/a1/program.py", line 31, in pack
    rows[12] = 'abc'
  File "/usr/lib/python3.11/site-packages/numpy/core.py", line 7, in put
    raise IndexError
IndexError: index 12 is out of bounds for '/tmp/a1/data.bin' at 0x7f3a
"""


def of(stderr: str = "", feedback: str = "", status: Status = "crashed") -> str | None:
    return error_signature(Evaluation(status, 1.0 if status == "scored" else None, stderr=stderr, feedback=feedback))


def test_a_signature_is_short_hexadecimal_and_a_score_has_none() -> None:
    signature = of(CRASH)
    assert signature
    assert len(signature) == 12
    int(signature, 16)
    assert of(CRASH, status="scored") is None


@given(
    line=st.integers(1, 9999), number=st.integers(), folder=st.from_regex(r"/[a-z]{1,8}/[a-z0-9_]{1,8}", fullmatch=True)
)
def test_numbers_lines_and_paths_do_not_matter(line: int, number: int, folder: str) -> None:
    other = CRASH.replace("12", str(number)).replace("/tmp/a1", folder).replace("line 31", f"line {line}")
    assert of(other) == of(CRASH)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0x7f3a", "0x12"),
        ("warming up", "cooling down"),
        ("'abc'", "f(x)"),
        ("site-packages/numpy", "site-packages/scipy"),
        ("in put", "in get"),
    ],
)
def test_what_differs_between_two_runs_of_a_bug_does_not_matter(old: str, new: str) -> None:
    assert of(CRASH.replace(old, new)) == of(CRASH)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("IndexError:", "KeyError:"),
        ("out of bounds", "out of range"),
        ("in pack", "in grow"),
        ("IndexError: ", "mylab.Infeasible: "),
    ],
)
def test_another_bug_has_another_signature(old: str, new: str) -> None:
    assert of(CRASH.replace(old, new)) != of(CRASH)


def test_the_last_traceback_counts() -> None:
    first = CRASH.replace("IndexError:", "ValueError:")
    assert of(first + "\nDuring handling of the above exception, another exception occurred:\n\n" + CRASH) == of(CRASH)
    assert of("x" * 50_000 + "\n" + CRASH) == of(CRASH)


def test_the_feedback_counts_where_the_program_printed_no_traceback() -> None:
    assert of("some warning\n", CRASH) == of(CRASH)
    assert of(feedback="circles 3 and 4 overlap by 0.01", status="invalid") == of(
        feedback="circles 5 and 6 overlap by 0.5", status="invalid"
    )
    assert of(feedback="circles overlap", status="invalid") != of(feedback="wrong shape", status="invalid")
    assert of(CRASH, "wrong shape", "invalid") == of("", "wrong shape", "invalid")
    assert of("Segmentation fault") != of("Bus error")
    assert of(feedback="circles overlap", status="invalid") != of(feedback="circles overlap")


def test_syntax_errors_and_groups_are_read() -> None:
    syntax = "  File \"/a/program.py\", line 3\n    x = (\n        ^\nSyntaxError: '(' was never closed\n"
    assert of(syntax) == of(syntax.replace("line 3", "line 30").replace("x = (", "call(y"))
    assert of(syntax) != of(syntax.replace("SyntaxError", "IndentationError"))
    group = '  + Exception Group Traceback (most recent call last):\n  |   File "/a/p.py", line 1, in f\n  |     g()\n  | ExceptionGroup: two (2 sub-exceptions)\n'
    assert of(group) == of(group.replace("line 1", "line 2").replace("g()", "h()"))
    assert of(group) != of(group.replace("ExceptionGroup", "OtherGroup"))


def test_running_out_of_time_is_one_bug_wherever_it_was() -> None:
    assert of(CRASH, status="timed_out") == of("", "the program ran longer than 10 s", status="timed_out")
    assert of(status="timed_out") != of(status="out_of_memory")


@given(stderr=st.text(), feedback=st.text())
def test_any_text_has_one(stderr: str, feedback: str) -> None:
    signature = of(stderr, feedback)
    assert signature == of(stderr, feedback)
    assert of(stderr + '\nTraceback (most recent call last):\n  File "a", line 1\n' + feedback) is not None


def test_it_reads_no_more_than_it_must() -> None:
    assert of("/" * 1_000_000 + "'" * 100_000, "a/" * 100_000) is not None

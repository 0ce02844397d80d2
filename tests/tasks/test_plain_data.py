"""What crosses from a candidate to a grader, and from a grader to the framework, is plain, finite and bounded."""

from __future__ import annotations

import contextlib
import io
import json
import math
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.tasks.drivers import candidate
from evolve.tasks.drivers import grader as driver
from evolve.tasks.verdict import clean, finite, judge, last_trace, read_verdict
from evolve.testing.task_contract import check

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)


def all_finite(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(all_finite, value.values()))
    if isinstance(value, list):
        return all(map(all_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


@given(json_values)
def test_finite_data_come_through_unchanged_and_nothing_else_does(value: object) -> None:
    data = json.dumps(value).encode()
    if all_finite(value):
        assert driver.parse(data) == value
    else:
        with pytest.raises(driver.Refused, match="not a finite number"):
            driver.parse(data)


@given(st.binary(max_size=50) | st.text(alphabet='[]{}":,0123456789eE.+-NaInfity \\u', max_size=50).map(str.encode))
def test_any_bytes_are_data_or_refused(data: bytes) -> None:
    with contextlib.suppress(driver.Refused):
        assert all_finite(driver.parse(data))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"[NaN]", r"answer\[0\] is nan"),
        (b'{"a": [1, -Infinity]}', r"answer\['a'\]\[1\] is -inf"),
        (b"1e400", "answer is inf"),
        (b"9" * 1001, "a number of 1001 digits"),
        (b"-0." + b"1" * 1000, "a number of 1003 digits"),
        (b"[" * 65 + b"]" * 65, "nested more than 64 deep"),
        (b"[" * 100_000 + b"]" * 100_000, "nested more than 64 deep"),
        (b'{"a": 1, "a": 2}', "a key appears twice"),
        (b"\xef\xbb\xbf1", "not JSON"),
        (b"1 2", "not JSON"),
        (b"'1'", "not JSON"),
        (b"", "not JSON"),
    ],
)
def test_what_is_refused_is_named(data: bytes, reason: str) -> None:
    with pytest.raises(driver.Refused, match=reason):
        driver.parse(data)


def test_sixty_four_levels_are_read() -> None:
    assert driver.parse(b"[" * 64 + b"]" * 64)


@given(json_values)
def test_any_return_value_of_a_grader_gives_an_evaluation(value: object) -> None:
    check(judge(value, None))
    check(judge({"score": value, "feedback": value, "error": value, "artifacts": value, "x": value}, None))
    check(judge({"score": 1, "artifacts": {"a": value}}, "score"))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_verdict_or_none(data: bytes) -> None:
    assert read_verdict(data) is None


def test_a_verdict_is_read() -> None:
    assert read_verdict(None) is None
    assert read_verdict(b"[" * 100_000) is None
    assert read_verdict(b'{"score": 1}') is None
    assert read_verdict(b'{"returned": 1, "stages": 5}').returned == 1
    assert read_verdict(b'{"raised": "x\\u001b[1m"}').raised == "x"


def test_metrics_and_artifacts_are_bounded() -> None:
    many = {f"m{i}": i for i in range(500)}
    evaluation = judge({"score": 1, **many, "artifacts": {f"a{i}": "x" * 9000 for i in range(500)}}, None)
    assert len(evaluation.metrics) == 64
    assert len(evaluation.artifacts) == 16
    assert all(len(text) < 4100 for text in evaluation.artifacts.values())


@given(st.text(st.characters(codec=None), max_size=300), st.integers(1, 100))
def test_cleaned_text_is_printable_bounded_and_stays_clean(text: str, limit: int) -> None:
    for keep in ("start", "end"):
        cleaned = clean(text, limit, keep=keep)
        assert all(c.isprintable() or c in "\n\t" for c in cleaned)
        assert len(cleaned) <= limit + 50
        cleaned.encode()
        assert clean(cleaned, 1000) == cleaned


def test_cutting_keeps_the_end_where_asked() -> None:
    assert clean("a" * 50 + "b" * 50, 20).startswith("a" * 20 + "\n[... 80 characters cut ...]")
    cut = clean("a" * 50 + "b" * 50, 20, keep="end")
    assert cut == "aaaaa\n[... 80 characters cut ...]\n" + "b" * 15


def test_the_last_traceback_is_what_an_author_needs() -> None:
    stderr = (
        "warning\nTraceback (most recent call last):\n  first\nTraceback (most recent call last):\n  second\nE: x\n"
    )
    assert last_trace(stderr) == "Traceback (most recent call last):\n  second\nE: x"
    assert last_trace("no luck\n") == "no luck"


@pytest.mark.parametrize("value", [True, None, "1", math.nan, math.inf, 10**400, [1], {}])
def test_what_is_no_finite_number_is_no_score(value: object) -> None:
    assert finite(value) is None


@pytest.mark.parametrize(
    ("mode", "source", "verdict"),
    [
        ("grade", "def grade(answer):\n    return {'score': answer}\n", {"returned": {"score": 5}}),
        (
            "grade",
            "def grade(answer):\n    return 1 / 0\n",
            {"raised": "ZeroDivisionError: division by zero (judge.py, line 2)"},
        ),
        ("grade", "1 / 0\n", {"unimportable": "ZeroDivisionError: division by zero (judge.py, line 1)"}),
        ("evaluate", "def evaluate(path):\n    return 3\n", {"returned": {"combined_score": 3}}),
    ],
)
def test_the_driver_leaves_a_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, source: str, verdict: dict[str, object]
) -> None:
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "judge.py").write_text(source)
    (tmp_path / "answer.json").write_text("5")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    before = set(sys.modules)
    driver.main(mode, "judge.py", "answer.json")
    for name in ({"judge", "openevolve", "openevolve.evaluation_result"} & set(sys.modules)) - before:
        del sys.modules[name]
    left = json.loads((tmp_path / "verdict.json").read_text())
    left.pop("trace", None)
    assert left == verdict


def test_the_graders_side_of_a_dialogue() -> None:
    asks = io.BytesIO()
    program = driver.Candidate(io.BytesIO(b'{"a": 1}\nNaN\n'), asks)
    assert program.ask({"n": [1, 2]}) == {"a": 1}
    with pytest.raises(driver.Refused, match="reply 2 is nan"):
        program.ask("next")
    with pytest.raises(driver.Gone):
        program.ask(None)
    assert asks.getvalue() == b'{"n": [1, 2]}\n"next"\nnull\n'


def test_the_candidates_driver_writes_what_solve_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    Path("start_of_a_test.py").write_text("import math\ndef solve():\n    return [1, math.nan]\n")
    candidate.solve("start_of_a_test.py", "answer.json")
    del sys.modules["start_of_a_test"]
    assert Path("answer.json").read_text() == "[1, NaN]"


@pytest.mark.parametrize("value", [object(), {1, 2}, {(1, 2): 3}])
def test_what_is_no_plain_data_ends_the_program(value: object) -> None:
    with pytest.raises(SystemExit, match=r"what solve\(\) returns is no plain data"):
        candidate.encoder("solve")(value)


def test_a_traceback_shows_the_programs_frames_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    Path("fails_in_a_test.py").write_text("x = 1\n1 / 0\n")
    with pytest.raises(ZeroDivisionError) as caught:
        candidate.solve("fails_in_a_test.py", "answer.json")
    del sys.modules["fails_in_a_test"]
    trace = caught.value.__traceback__
    assert trace is not None
    candidate.report(ZeroDivisionError, caught.value, trace.tb_next)
    lines = capsys.readouterr().err.splitlines()
    assert lines[1:3] == ['  File "fails_in_a_test.py", line 2, in <module>', "    1 / 0"]
    assert lines[-1] == "ZeroDivisionError: division by zero"

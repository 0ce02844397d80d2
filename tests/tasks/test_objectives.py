"""Several aims: each is a metric that every valid answer must have."""

from __future__ import annotations

from pathlib import Path

import pytest
from tasks.folders import build, judged

from evolve.tasks.base import Task

AIMS = [{"name": "speed"}, {"name": "size", "direction": "minimize"}]
ANSWER = "def grade(answer):\n    return answer\n"


def task(root: Path, **settings: object) -> Task:
    return build(root, {"grader.py": ANSWER}, objectives=AIMS, **settings)


def returning(answer: object) -> str:
    return f"def solve():\n    return {answer!r}\n"


def test_an_answer_with_all_of_them_is_scored(tmp_path: Path) -> None:
    evaluation = judged(task(tmp_path), returning({"score": 1, "speed": 2, "size": 3, "other": 4}))
    assert (evaluation.status, evaluation.score) == ("scored", 1.0)
    assert evaluation.metrics == {"speed": 2.0, "size": 3.0, "other": 4.0}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"score": 1, "speed": 2}, "the grader gave no `size`, only: score, speed"),
        ({"score": 1, "speed": True, "size": 3}, "`speed` is True, not a finite number"),
        ({"score": 1, "speed": "fast", "size": 3}, "`speed` is 'fast', not a finite number"),
        ({"error": "no", "speed": 2}, "no"),
    ],
)
def test_an_answer_without_one_of_them_is_invalid(tmp_path: Path, answer: object, reason: str) -> None:
    evaluation = judged(task(tmp_path), returning(answer))
    assert (evaluation.status, evaluation.score, evaluation.feedback) == ("invalid", None, reason)


def test_the_score_may_be_one_of_them(tmp_path: Path) -> None:
    evaluation = judged(task(tmp_path, score="speed"), returning({"speed": 2, "size": 3}))
    assert (evaluation.score, dict(evaluation.metrics)) == (2.0, {"speed": 2.0, "size": 3.0})


def test_no_number_of_metrics_hides_them(tmp_path: Path) -> None:
    many: dict[str, object] = {f"m{number}": number for number in range(100)}
    evaluation = judged(task(tmp_path), returning({**many, "score": 1, "speed": 2, "size": 3}))
    assert evaluation.status == "scored"
    assert evaluation.metrics.keys() >= {"speed", "size", "m0"}


def test_an_evaluator_has_them_too(tmp_path: Path) -> None:
    evaluator = "def evaluate(path):\n    return {'combined_score': 1.0, 'speed': 2.0}\n"
    one = build(tmp_path, {"evaluator.py": evaluator}, objectives=AIMS)
    assert "`size`" in judged(one, returning(1)).feedback

"""From evaluations to a verdict: who is evaluated again, what a mean says, which scores are not taken on trust."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.agent.integrity import Opinion
from evolve.graph import Direction, Objective
from evolve.run.grading import Graded, Standing, grade
from evolve.tasks.base import Evaluation, Stage, TaskSheet
from evolve.testing.task_contract import check

SHEET = TaskSheet("toy", "More.", "maximize", {"p.py": ""})
FAILED = Evaluation("timed_out", None, feedback="no end after 60 s", seconds=60.0)
WIDE = Standing(best_score=10.5, spread=1.0)


class Draws:
    """Evaluations in order: numbers are scores."""

    def __init__(self, *found: float | Evaluation) -> None:
        self._found = list(found)
        self.done = 0

    def __call__(self) -> Evaluation:
        one = self._found[self.done]
        self.done += 1
        if isinstance(one, Evaluation):
            return one
        stages = (Stage("solve", "scored", 1.0), Stage("grade", "scored", 0.5, one))
        metrics = {"half": one / 2} | ({"first": 1.0} if self.done == 1 else {})
        return Evaluation("scored", float(one), metrics=metrics, feedback="fine", stages=stages, seconds=1.5)


def graded(draws: Draws, sheet: TaskSheet, standing: Standing, *, in_full: bool = False) -> Graded:
    found = grade(draws, sheet, standing, in_full=in_full)
    check(found.evaluation)
    return found


@pytest.mark.parametrize(
    ("draws", "standing", "evaluations"),
    [
        ([5, 5, 5], Standing(), 3),  # nothing to compare with
        ([5, 5, 5], Standing(best_score=6), 1),  # out at once: no noise is known
        ([5, 5, 5], Standing(best_score=6, noise=0.4), 1),
        ([5, 5, 5], Standing(best_score=6, noise=0.6), 2),  # 5 + 2 * 0.6 / sqrt(2) is below 6
        ([5, 5, 5], Standing(best_score=5), 3),
        ([7, 3, 5], Standing(best_score=6), 3),  # 5 + 2 * 2 after two
        ([7, 4.9, 5], Standing(best_score=9, noise=1.5), 2),
    ],
)
def test_only_contenders_are_evaluated_again(draws: list[float], standing: Standing, evaluations: int) -> None:
    found = graded(Draws(*draws), replace(SHEET, repeats=3), standing)
    assert found.evaluations == evaluations
    assert found.evaluation.score == mean(draws[:evaluations])
    assert found.evaluation.scores == (tuple(draws[:evaluations]) if evaluations > 1 else ())


def test_what_is_evaluated_in_full_is_not_raced() -> None:
    hopeless = Standing(best_score=100)
    assert graded(Draws(1, 2, 3), replace(SHEET, repeats=3), hopeless, in_full=True).evaluations == 3
    aims = (Objective("half", "maximize"), Objective("first", "minimize"))
    assert graded(Draws(1, 2, 3), replace(SHEET, repeats=3, objectives=aims), hopeless).evaluations == 3


def test_several_evaluations_as_one() -> None:
    found = graded(Draws(4, 6), replace(SHEET, repeats=2), Standing())
    assert (found.evaluation.score, found.error) == (5.0, 1.0)
    assert found.evaluation.metrics == {"half": 2.5}, "a metric that only one evaluation has means nothing"
    assert [stage.name for stage in found.evaluation.stages] == ["solve", "grade", "solve 2", "grade 2"]
    assert found.evaluation.seconds == 3.0
    single = graded(Draws(4), SHEET, Standing())
    assert (single.evaluations, single.error, single.suspicion) == (1, None, None)


def test_a_failure_in_a_repeat_is_a_failure_and_says_so() -> None:
    found = graded(Draws(4, 6, FAILED), replace(SHEET, repeats=5), Standing())
    assert (found.evaluation.status, found.evaluation.score, found.evaluations) == ("timed_out", None, 3)
    assert found.evaluation.feedback == (
        "evaluation 3 of the same program failed, after it had scored 4, 6\nno end after 60 s"
    )
    assert found.error is None
    assert graded(Draws(FAILED), replace(SHEET, repeats=5), Standing()).evaluation == FAILED


def test_scores_too_far_apart_to_be_squared_are_no_score() -> None:
    found = graded(Draws(1e200, -1e200), replace(SHEET, repeats=2), Standing())
    assert (found.evaluation.status, found.error) == ("invalid", None)
    assert found.evaluation.feedback.startswith("its scores vary beyond measure: 1e+200, -1e+200")


numbers = st.floats(-1e6, 1e6)
whole = st.integers(-1000, 1000).map(float)
"""A best score beside which exactly 0 or 1 is nothing special: that alone would depend on the direction."""


@given(st.lists(numbers, min_size=4, max_size=4), whole, st.none() | st.floats(0, 10), st.integers(1, 4))
def test_the_race_knows_no_direction_and_never_leaves_its_bounds(
    draws: list[float], best: float, noise: float | None, repeats: int
) -> None:
    sheet = replace(SHEET, repeats=repeats)
    up = graded(Draws(*draws), sheet, Standing(best, noise))
    down = graded(
        Draws(*(-one for one in draws)), replace(sheet, direction="minimize"), Standing(-best, noise and noise)
    )
    assert (up.evaluations, up.error) == (down.evaluations, down.error)
    assert up.evaluation.score is not None
    assert down.evaluation.score == -up.evaluation.score
    assert 1 <= up.evaluations <= repeats
    assert min(draws) <= up.evaluation.score <= max(draws)
    if up.evaluations < repeats:
        assert up.evaluation.score < best


@pytest.mark.parametrize(
    ("score", "sheet", "standing", "reason"),
    [
        (12.0, SHEET, Standing(10.5), None),  # no spread is known yet
        (20.0, SHEET, WIDE, None),
        (21.0, SHEET, WIDE, "jump of 10.5 spreads; reproduced"),
        (21.0, replace(SHEET, suspicious_spreads=None), WIDE, None),
        (21.0, replace(SHEET, suspicious_spreads=11.0), WIDE, None),
        (21.0, SHEET, replace(WIDE, spread=0.0), None),  # scores that do not differ have no scale
        (1.0, SHEET, Standing(0.5), "exactly 1; reproduced"),
        (0.0, SHEET, Standing(-0.5), "exactly 0; reproduced"),
        (1.0, SHEET, Standing(0.0), None),  # where scores are whole numbers, 1 is one of them
        (1.0, SHEET, Standing(), None),
        (1.0, SHEET, Standing(1.5), None),  # beats nothing
        (40.0, replace(SHEET, bound=40.0), Standing(), "equals the bound 40; reproduced"),
        (40.0, replace(SHEET, bound=40.0), Standing(40.0), None),
        (40.0 + 1e-12, replace(SHEET, bound=40.0), Standing(39.5), "equals the bound 40; reproduced"),
        (39.0, replace(SHEET, bound=40.0), Standing(38.5), None),
    ],
)
def test_a_score_too_good_is_evaluated_again(
    score: float, sheet: TaskSheet, standing: Standing, reason: str | None
) -> None:
    draws = Draws(score, score)
    found = graded(draws, sheet, standing)
    assert (found.evaluation.score, found.suspicion) == (score, reason)
    assert (found.evaluations, draws.done) == (1, 2 if reason else 1)
    last = found.evaluation.stages[-1]
    assert (last.name == "regrade") == bool(reason)


@pytest.mark.parametrize(("direction", "impossible"), [("maximize", 40.1), ("minimize", 39.9)])
def test_a_score_beyond_the_bound_is_invalid_at_once(direction: Direction, impossible: float) -> None:
    sheet = replace(SHEET, bound=40.0, direction=direction)
    draws = Draws(impossible)
    found = graded(draws, sheet, Standing())
    assert (found.evaluation.status, draws.done) == ("invalid", 1)
    assert found.evaluation.feedback == f"impossible score: {impossible} beats 40, the best score there can be\nfine"
    assert found.suspicion == f"{impossible} beats 40, the best score there can be"
    again = graded(Draws(40 - (impossible - 40), impossible), replace(sheet, repeats=2), Standing())
    assert (again.evaluation.status, again.evaluations) == ("invalid", 2)


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (19.9, "evaluated again, it is 19.9"),
        (FAILED, "evaluated again, the program failed: no end after 60 s"),
        (10.0, "evaluated again, it is 10"),
    ],
)
def test_what_cannot_be_reproduced_is_invalid(second: float | Evaluation, why: str) -> None:
    found = graded(Draws(21.0, second), SHEET, WIDE)
    assert found.evaluation.status == "invalid"
    assert found.evaluation.feedback == f"its score of 21 is not taken on trust: {why}\nfine"
    assert found.suspicion == "jump of 10.5 spreads; not reproduced"


@pytest.mark.parametrize(("direction", "sign"), [("maximize", 1.0), ("minimize", -1.0)])
def test_without_known_noise_a_second_jump_will_do_and_the_worse_score_counts(
    direction: Direction, sign: float
) -> None:
    sheet = replace(SHEET, direction=direction)
    standing = replace(WIDE, best_score=sign * (WIDE.best_score or 0.0))
    for first, second in [(21.0, 20.9), (20.9, 21.0)]:
        found = graded(Draws(sign * first, sign * second), sheet, standing)
        assert (found.evaluation.status, found.evaluation.score) == ("scored", sign * 20.9)


@pytest.mark.parametrize(
    ("second", "noise", "reproduced"),
    [(20.9, 0.03, True), (20.9, 0.02, False), (21.0 + 1e-10, None, True), (21.0 + 1e-6, 0.0, False)],
)
def test_a_noisy_score_is_reproduced_within_the_noise(second: float, noise: float | None, reproduced: bool) -> None:
    found = graded(Draws(21.0, second), SHEET, replace(WIDE, noise=noise))
    assert (found.evaluation.status == "scored") == reproduced


def test_the_noise_may_be_that_of_its_own_evaluations() -> None:
    found = graded(Draws(20.9, 21.1, 20.7), replace(SHEET, repeats=2), WIDE)
    assert (found.evaluation.score, found.suspicion) == (21.0, "jump of 10.5 spreads; reproduced")
    assert found.evaluation.scores == (20.9, 21.1), "the score is the mean of what it was raced with"


class Reviewer:
    def __init__(self, fake: bool, said: str) -> None:
        self._opinion = Opinion(fake, said)
        self.asked: list[tuple[str, float]] = []

    def __call__(self, reason: str, score: float) -> Opinion:
        self.asked.append((reason, score))
        return self._opinion


def test_a_reviewer_has_the_last_word() -> None:
    jump = "jump of 10.5 spreads; reproduced"
    honest = Reviewer(False, "reviewed")
    found = grade(Draws(21.0, 21.0), SHEET, WIDE, review=honest)
    assert (found.evaluation.score, found.suspicion) == (21.0, f"{jump}; reviewed")
    strict = Reviewer(True, "solve() returns the private answers")
    found = grade(Draws(21.0, 21.0), SHEET, WIDE, review=strict)
    assert (found.evaluation.status, found.suspicion) == ("invalid", f"{jump}; judged a fake")
    assert found.evaluation.feedback.startswith("the score of 21 is not earned: solve() returns the private answers")
    assert honest.asked == strict.asked == [(jump, 21.0)]


@pytest.mark.parametrize("draws", [(11.0, 11.0), (21.0, 10.0), (FAILED,)])
def test_a_reviewer_is_asked_only_about_what_stands_and_is_suspicious(draws: Sequence[float | Evaluation]) -> None:
    reviewer = Reviewer(True, "no")
    grade(Draws(*draws), SHEET, WIDE, review=reviewer)
    assert reviewer.asked == []


def test_what_a_service_raises_passes_through() -> None:
    def broken(*_: object) -> Opinion:
        raise OSError("the endpoint is away")

    with pytest.raises(OSError, match="away"):
        grade(Draws(21.0, 21.0), SHEET, WIDE, review=broken)


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_any_finite_scores_give_a_verdict(first: float, second: float) -> None:
    found = graded(Draws(first, second, first), replace(SHEET, repeats=2, bound=1e300), replace(WIDE, noise=1.0))
    assert found.error is None or math.isfinite(found.error)

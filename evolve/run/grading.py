"""From evaluations to a verdict: repeat what could be the best, and take no score on trust that is too good.

Knows neither sandboxes nor models: evaluating and reviewing come in as functions. Every decision depends on what they
return and on where the search stood when the expansion was handed out; never on the clock or on other rollouts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import mean, stdev

from evolve.agent.integrity import Opinion
from evolve.tasks.base import Evaluation, Stage, TaskSheet

CONTENDER_ERRORS = 2.0
"""A program stays in the race while so many standard errors above its mean reach the best score."""
SAME = 1e-9
"""Relative difference of two scores that are one and the same but for rounding."""
SAME_NOISES = 4.0
"""Where scores vary: how many standard deviations of one evaluation the second score may be away from the first."""
LARGEST_ERROR = 1e100
"""Beyond this, squares of errors no longer fit into a float."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the search stood when an expansion was handed out."""

    best_score: float | None = None
    noise: float | None = None
    """Standard deviation of one evaluation; None before any program was evaluated more than once."""
    spread: float | None = None
    """Interquartile range of the valid scores; None while there are too few to tell."""


@dataclass(frozen=True, slots=True)
class Graded:
    """An evaluation, or several in one, and how far its score can be relied on."""

    evaluation: Evaluation
    evaluations: int = 1
    error: float | None = None
    """Standard error of the score, where it is the mean of several."""
    suspicion: str | None = None
    """Why the score was looked at more closely, and what came of it."""


def grade(
    evaluate: Callable[[], Evaluation],
    sheet: TaskSheet,
    standing: Standing,
    *,
    in_full: bool = False,
    review: Callable[[str, float], Opinion] | None = None,
) -> Graded:
    """Evaluate a program as often as it deserves, and once more if its score is suspicious.

    `evaluate` runs it in a fresh sandbox; `in_full` evaluates it `sheet.repeats` times whatever comes out; `review` is
    told why a score is suspicious and says whether it is earned. What either raises passes through.
    """
    graded = _race(evaluate, sheet, standing, in_full=in_full or bool(sheet.objectives))
    score = graded.evaluation.score
    reason = None if score is None else suspicion(score, sheet, standing)
    if score is None or reason is None:
        return graded
    graded, why_not = _regrade(evaluate, graded, score, sheet, standing)
    if why_not:
        return _refused(graded, f"{reason}; not reproduced", f"its score of {score:g} is not taken on trust: {why_not}")
    reason = f"{reason}; reproduced"
    if review is None:
        return replace(graded, suspicion=reason)
    opinion = review(reason, score)
    if opinion.fake:
        return _refused(graded, f"{reason}; judged a fake", f"the score of {score:g} is not earned: {opinion.said}")
    return replace(graded, suspicion=f"{reason}; {opinion.said}")


def suspicion(score: float, sheet: TaskSheet, standing: Standing) -> str | None:
    """Why a score is too good to be taken on trust; None for one that is not, or that beats nothing."""
    gain = math.inf if standing.best_score is None else _utility(score, sheet) - _utility(standing.best_score, sheet)
    if gain <= 0:
        return None
    if sheet.bound is not None and math.isclose(score, sheet.bound, rel_tol=SAME, abs_tol=SAME):
        return f"equals the bound {sheet.bound:g}"
    if standing.best_score is None:
        return None
    if score in (0.0, 1.0) and not standing.best_score.is_integer():
        return f"exactly {score:g}"
    if sheet.suspicious_spreads is not None and standing.spread and gain > sheet.suspicious_spreads * standing.spread:
        return f"jump of {gain / standing.spread:.3g} spreads"
    return None


def _race(evaluate: Callable[[], Evaluation], sheet: TaskSheet, standing: Standing, *, in_full: bool) -> Graded:
    """Evaluate again and again, up to `sheet.repeats` times, while it could still be the best or `in_full` asks for it."""
    found: list[Evaluation] = []
    scores: list[float] = []
    while True:
        evaluation = evaluate()
        found.append(evaluation)
        if evaluation.score is None:
            return _failed_once(found)
        if _impossible(evaluation.score, sheet):
            beaten = f"{evaluation.score:g} beats {sheet.bound:g}, the best score there can be"
            return _refused(_together(found, scores), beaten, f"impossible score: {beaten}")
        scores.append(evaluation.score)
        if len(found) == sheet.repeats or not (in_full or _contends(scores, sheet, standing)):
            return _together(found, scores)


def _contends(scores: Sequence[float], sheet: TaskSheet, standing: Standing) -> bool:
    """Whether its mean could still turn out to be at least the best score."""
    if standing.best_score is None:
        return True
    error = max(_standard_error(scores) or 0.0, (standing.noise or 0.0) / math.sqrt(len(scores)))
    reach = _utility(mean(scores), sheet) + CONTENDER_ERRORS * error
    return reach >= _utility(standing.best_score, sheet)


def _together(found: Sequence[Evaluation], scores: Sequence[float]) -> Graded:
    """Several evaluations as one: the first, with the mean of the scores and of each metric."""
    first = found[0]
    if len(found) == 1:
        return Graded(first)
    names = [name for name in first.metrics if all(name in one.metrics for one in found)]
    whole = replace(
        first,
        score=mean(scores),
        scores=tuple(scores),
        metrics={name: mean(one.metrics[name] for one in found) for name in names},
        stages=_stages(found),
        seconds=sum(one.seconds for one in found),
    )
    graded = Graded(whole, len(found), _standard_error(scores))
    if graded.error is not None and graded.error > LARGEST_ERROR:
        return _refused(graded, None, f"its scores vary beyond measure: {_listed(scores)}")
    return graded


def _failed_once(found: Sequence[Evaluation]) -> Graded:
    """A program that fails in one of its evaluations has failed."""
    *before, last = found
    if not before:
        return Graded(last)
    scores = _listed([one.score for one in before if one.score is not None])
    feedback = f"evaluation {len(found)} of the same program failed, after it had scored {scores}\n{last.feedback}"
    seconds = sum(one.seconds for one in found)
    return Graded(replace(last, feedback=feedback, stages=_stages(found), seconds=seconds), len(found))


def _regrade(
    evaluate: Callable[[], Evaluation], graded: Graded, score: float, sheet: TaskSheet, standing: Standing
) -> tuple[Graded, str | None]:
    """Evaluate once more: the evaluation with that noted, and what speaks against its score, if anything does.

    Where it is not known how much scores vary, a second one that differs but would be as suspicious will do, and the
    worse of the two counts.
    """
    first, second = graded.evaluation, evaluate()
    stage = Stage("regrade", second.status, second.seconds, second.score)
    noted = replace(
        graded, evaluation=replace(first, stages=(*first.stages, stage), seconds=first.seconds + second.seconds)
    )
    if second.score is None:
        return noted, f"evaluated again, the program failed: {second.feedback}"
    own = (graded.error or 0.0) * math.sqrt(graded.evaluations)
    allowed = SAME_NOISES * max(own, standing.noise or 0.0)
    if math.isclose(score, second.score, rel_tol=SAME, abs_tol=allowed):
        return noted, None
    if standing.noise is None and graded.error is None and suspicion(second.score, sheet, standing):
        worse = min(score, second.score, key=lambda one: _utility(one, sheet))
        return replace(noted, evaluation=replace(noted.evaluation, score=worse)), None
    return noted, f"evaluated again, it is {second.score:g}"


def _refused(graded: Graded, suspicion: str | None, reason: str) -> Graded:
    """The same without its score; the reason is what the next author is told."""
    feedback = "\n".join(filter(None, (reason, graded.evaluation.feedback)))
    evaluation = replace(graded.evaluation, status="invalid", score=None, feedback=feedback)
    return replace(graded, evaluation=evaluation, error=None, suspicion=suspicion)


def _impossible(score: float, sheet: TaskSheet) -> bool:
    """Beyond the bound, and not merely by rounding."""
    if sheet.bound is None or math.isclose(score, sheet.bound, rel_tol=SAME, abs_tol=SAME):
        return False
    return _utility(score, sheet) > _utility(sheet.bound, sheet)


def _utility(score: float, sheet: TaskSheet) -> float:
    """The score turned so that more is better."""
    return score if sheet.direction == "maximize" else -score


def _standard_error(scores: Sequence[float]) -> float | None:
    """Of their mean; None for a single one."""
    return stdev(scores) / math.sqrt(len(scores)) if len(scores) > 1 else None


def _stages(found: Sequence[Evaluation]) -> tuple[Stage, ...]:
    """Those of all evaluations; from the second on with their number, as names are to be unique."""
    return tuple(
        stage if number == 1 else replace(stage, name=f"{stage.name} {number}")
        for number, one in enumerate(found, start=1)
        for stage in one.stages
    )


def _listed(scores: Sequence[float]) -> str:
    return ", ".join(f"{score:g}" for score in scores)

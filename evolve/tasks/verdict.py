"""Turn what a grader left behind into an Evaluation. Believes nothing: every value is checked, every text cleaned."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evolve.graph import Status
from evolve.sandbox.base import ExecResult
from evolve.tasks.base import Evaluation

MAX_VERDICT_BYTES = 4 * 1024 * 1024
MAX_TEXT = 4000
"""Characters of a feedback or an artifact."""
MAX_METRICS = 64
MAX_ARTIFACTS = 16
MAX_NAME = 80
SCORE_NAMES = ("combined_score", "score")

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The file a grader's driver wrote; at most one field is set."""

    returned: Any = None
    raised: str | None = None
    """By the grader: exception and line."""
    trace: str = ""
    refused: str | None = None
    """Why the answer is not plain data."""
    unimportable: str | None = None
    stages: tuple[Mapping[str, Any], ...] = ()


def read_verdict(data: bytes | None) -> Verdict | None:
    """None where there is no verdict or it is not one."""
    try:
        raw = json.loads(data or b"")
    except (ValueError, RecursionError):
        return None
    if not isinstance(raw, dict) or not raw.keys() & {"returned", "raised", "refused", "unimportable"}:
        return None
    stages = raw.get("stages")
    return Verdict(
        returned=raw.get("returned"),
        raised=_text(raw, "raised"),
        trace=_text(raw, "trace") or "",
        refused=_text(raw, "refused"),
        unimportable=_text(raw, "unimportable"),
        stages=tuple(stage for stage in stages if isinstance(stage, dict)) if isinstance(stages, list) else (),
    )


def judge(returned: Any, score_name: str | None, objectives: Sequence[str] = ()) -> Evaluation:
    """The evaluation in a grader's return value: a number, or a dict with the score and whatever goes with it.

    A dict's texts `error` and `feedback` become the feedback, its `artifacts` are kept, its other numbers are
    metrics. An `error`, a false `valid`, and a score or an objective that is missing or not a finite number make it
    invalid.
    """
    if not isinstance(returned, dict):
        returned = {score_name or SCORE_NAMES[0]: returned}
    name = score_name or next((known for known in SCORE_NAMES if known in returned), None)
    error = _said(returned, "error")
    if not error and (returned.get("error") or not returned.get("valid", True)):
        error = "the grader calls the answer invalid"
    score = None
    if not error:
        score, error = _score(returned, name)
    for objective in objectives:
        error = error or _score(returned, objective)[1]
    return Evaluation(
        status="invalid" if error else "scored",
        score=None if error else score,
        metrics=_metrics(returned, name, objectives),
        feedback="\n".join(text for text in (clean(error), _said(returned, "feedback")) if text),
        artifacts=_artifacts(returned.get("artifacts")),
    )


def failure(ended: ExecResult, timeout_s: float) -> tuple[Status, str] | None:
    """How a program failed and what its author should know; None when it ended well."""
    match ended.status:
        case "timed_out":
            return "timed_out", f"no end after {timeout_s:g} s"
        case "out_of_memory":
            return "out_of_memory", "needs more memory than it may have"
        case "output_limit":
            return "invalid", "printed more than it may"
        case "killed":
            return "crashed", f"ended by a signal\n{last_trace(ended.stderr)}".strip()
        case "exited" if ended.exit_code == 0:
            return None
    trace = last_trace(ended.stderr)
    status: Status = "out_of_memory" if trace.rsplit("\n", 1)[-1].startswith("MemoryError") else "crashed"
    return status, f"exit code {ended.exit_code}\n{trace}".strip()


def last_trace(stderr: str) -> str:
    """The last Python traceback in a program's stderr, or its end where there is none. Cleaned."""
    start = stderr.rfind("Traceback (most recent call last):")
    return clean(stderr[max(start, 0) :].strip(), keep="end")


def clean(text: str, limit: int = MAX_TEXT, *, keep: str = "start") -> str:
    """Text for a prompt or a terminal: no control sequences, nothing unprintable, at most about `limit` characters.

    `keep="end"` cuts the middle instead of the end: a traceback says where at its end.
    """
    text = _ESCAPES.sub("", text[: limit * 64] if keep == "start" else text[-limit * 64 :])
    text = "".join(c for c in text if c.isprintable() or c in "\n\t")
    if len(text) <= limit:
        return text
    cut = f"[... {len(text) - limit} characters cut ...]"
    return f"{text[:limit]}\n{cut}" if keep == "start" else f"{text[: limit // 4]}\n{cut}\n{text[-3 * limit // 4 :]}"


def finite(value: Any) -> float | None:
    """The value as a float where it is a finite number and not a truth value."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _score(returned: Mapping[str, Any], name: str | None) -> tuple[float | None, str]:
    if name is None or name not in returned:
        wanted = f"`{name}`" if name else " or ".join(f"`{known}`" for known in SCORE_NAMES)
        return None, f"the grader gave no {wanted}, only: {', '.join(map(str, returned)) or 'nothing'}"
    score = finite(returned[name])
    return score, "" if score is not None else f"`{name}` is {returned[name]!r:.60}, not a finite number"


def _metrics(returned: Mapping[str, Any], score_name: str | None, objectives: Sequence[str]) -> dict[str, float]:
    """The numbers beside the score, objectives first, so that the limit leaves none of them out."""
    others = (key for key in returned if key not in (score_name, *objectives))
    numbers = {clean(key, MAX_NAME): finite(returned.get(key)) for key in (*objectives, *others)}
    known = [(key, number) for key, number in numbers.items() if number is not None]
    return dict(known[:MAX_METRICS])


def _artifacts(raw: Any) -> dict[str, str]:
    if not isinstance(raw, dict):
        return {}
    texts = ((key, value if isinstance(value, str) else json.dumps(value)) for key, value in raw.items())
    return {clean(key, MAX_NAME): clean(text) for key, text in list(texts)[:MAX_ARTIFACTS]}


def _said(returned: Mapping[str, Any], key: str) -> str:
    """What the grader says under a key, cleaned; empty where it says nothing."""
    return clean(str(returned.get(key) or "")).strip()


def _text(raw: Mapping[str, Any], key: str) -> str | None:
    value = raw.get(key)
    return None if value is None else clean(str(value))

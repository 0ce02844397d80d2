"""Runs a task's grader or evaluator in a sandbox and leaves its verdict in `verdict.json`. Standard library only.

    python -I grader.py grade FILE ANSWER                    two phases: `grade(answer)`, the answer being plain data
    python -I grader.py interact FILE                        `interact(candidate)`, asking over stdin and stdout
    python -I grader.py evaluate FILE PROGRAM [DIRECTION THRESHOLD...]   OpenEvolve style: `evaluate(program_path)` or its cascade

FILE lies in the folder `task`, which is also the working directory of the grader. A verdict holds one of
`returned`, `raised` (by the grader), `refused` (the answer is not plain data) and `unimportable`.
Starts with every evaluation, so it imports little (pathlib alone would add a fifth to the start).
"""
# ruff: noqa: PTH100, PTH109, PTH118, PTH122, PTH123

from __future__ import annotations

import json
import math
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any, BinaryIO

MAX_DEPTH = 64
"""Nesting of an answer."""
MAX_DIGITS = 1000
"""Characters of one number in an answer."""
TEXT_SUFFIXES = frozenset({".txt", ".csv", ".tsv", ".md"})


class Refused(Exception):
    """The answer is not plain, finite, bounded data; says where."""


class Gone(Exception):
    """The candidate gives no more replies. Why is known to whoever runs it."""


def parse(data: bytes, name: str = "answer") -> Any:
    """Strict JSON: no NaN or infinity, no repeated key, bounded depth and digits.

    Raises Refused with the place of the offence, in which the value is called `name`.
    """
    try:
        value = json.loads(data.decode(), parse_int=_int, parse_float=_float, object_pairs_hook=_dict)
    except RecursionError:
        raise Refused(f"{name} is nested more than {MAX_DEPTH} deep") from None
    except ValueError as error:
        raise Refused(f"{name} is not JSON: {error}") from None
    _check(value, name)
    return value


def _int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise Refused(f"a number of {len(digits)} digits; at most {MAX_DIGITS} are read")
    return int(digits)


def _float(digits: str) -> float:
    if len(digits) > MAX_DIGITS:
        raise Refused(f"a number of {len(digits)} digits; at most {MAX_DIGITS} are read")
    return float(digits)


def _dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Refused("a key appears twice in one object")
    return found


def _check(root: Any, name: str) -> None:
    """Refuse infinities, NaN and deep nesting, naming the first. Without recursion, so that depth cannot hurt."""
    if isinstance(root, float) and not math.isfinite(root):
        raise Refused(f"{name} is {root}, not a finite number")
    queue = [(root, name, 1)] if isinstance(root, dict | list) else []
    for container, where, depth in queue:
        if depth > MAX_DEPTH:
            raise Refused(f"{name} is nested more than {MAX_DEPTH} deep")
        for key, value in container.items() if isinstance(container, dict) else enumerate(container):
            if isinstance(value, dict | list):
                queue.append((value, f"{where}[{key!r:.40}]", depth + 1))
            elif isinstance(value, float) and not math.isfinite(value):
                raise Refused(f"{where}[{key!r:.40}] is {value}, not a finite number")


def read_answer(path: str) -> Any:
    """JSON as data, text files as text, anything else as bytes."""
    with open(path, "rb") as file:
        data = file.read()
    suffix = os.path.splitext(path)[1]
    if suffix == ".json":
        return parse(data)
    if suffix not in TEXT_SUFFIXES:
        return data
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Refused(f"the file is not UTF-8: {error}") from None


class Candidate:
    """The candidate as a grader sees it: something to ask."""

    def __init__(self, replies: BinaryIO, asks: BinaryIO) -> None:
        self._replies, self._asks = replies, asks
        self._encode = json.JSONEncoder(allow_nan=False).encode
        self.asked = 0
        """How many questions were put."""

    def ask(self, message: Any) -> Any:
        """The reply to one message, both plain JSON. A candidate that fails to reply ends the grading."""
        self._asks.write(self._encode(message).encode() + b"\n")
        self._asks.flush()
        self.asked += 1
        line = self._replies.readline()
        if not line:
            raise Gone
        return parse(line, f"reply {self.asked}")


def load(file: str) -> ModuleType:
    module = type(sys)(file.removesuffix(".py"))
    module.__file__ = os.path.abspath(file)
    sys.modules[module.__name__] = module
    with open(file, "rb") as source:
        exec(compile(source.read(), file, "exec"), module.__dict__)
    return module


def summary(error: BaseException, file: str) -> str:
    """Exception and the last line of `file` it passed through."""
    import traceback

    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    what = traceback.format_exception_only(error)[-1].strip()
    return f"{what} ({file}, line {lines[-1]})" if lines else what


def own_frames(error: BaseException) -> str:
    """The traceback without this file's frames."""
    import traceback

    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))


def grade(module: ModuleType, answer: str) -> dict[str, Any]:
    return {"returned": module.grade(read_answer(answer))}


def interact(module: ModuleType) -> dict[str, Any]:
    replies, asks = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what the grader prints must not look like a question
    return {"returned": module.interact(Candidate(replies, asks))}


def evaluate(module: ModuleType, program: str, direction: str = "", *thresholds: str) -> dict[str, Any]:
    """One call, or up to three stages, where a stage that misses its threshold is the last one."""
    if not thresholds:
        return {"returned": as_metrics(module.evaluate(program))}
    merged: dict[str, Any] = {}
    stages: list[dict[str, Any]] = []
    for number in (1, 2, 3):
        if not hasattr(module, f"evaluate_stage{number}"):
            break
        began = time.perf_counter()
        merged |= as_metrics(getattr(module, f"evaluate_stage{number}")(program))
        score = merged.get("combined_score")
        stages.append({"name": f"stage{number}", "seconds": time.perf_counter() - began, "score": score})
        if number <= len(thresholds) and not reaches(score, float(thresholds[number - 1]), direction):
            merged.setdefault(
                "feedback", f"stopped after stage {number}: {score!r:.40}, wanted {thresholds[number - 1]}"
            )
            break
    return {"returned": merged, "stages": stages}


def reaches(score: Any, wanted: float, direction: str) -> bool:
    if not isinstance(score, int | float) or isinstance(score, bool):
        return False
    return score <= wanted if direction == "minimize" else score >= wanted


def as_metrics(result: Any) -> dict[str, Any]:
    """A dict of metrics, from a dict, an object with `.metrics` and `.artifacts`, or a number."""
    if isinstance(metrics := getattr(result, "metrics", None), dict):
        return {**metrics, "artifacts": getattr(result, "artifacts", {})}
    return result if isinstance(result, dict) else {"combined_score": result}


def stand_in_for_openevolve() -> None:
    """Give evaluators the result class that they import from OpenEvolve, where that is not installed."""
    from dataclasses import field, make_dataclass
    from importlib.util import find_spec

    if find_spec("openevolve") is None:
        package, module = type(sys)("openevolve"), type(sys)("openevolve.evaluation_result")
        artifacts: Any = ("artifacts", dict, field(default_factory=dict))
        module.EvaluationResult = make_dataclass("EvaluationResult", [("metrics", dict), artifacts])  # type: ignore[attr-defined]
        sys.modules.update({package.__name__: package, module.__name__: module})


def plain(value: Any) -> Any:
    """What JSON has no form for: numbers of other types, arrays, bytes; anything else by its repr."""
    for convert in ("tolist", "__float__"):
        if hasattr(value, convert):
            return getattr(value, convert)()
    return value.decode(errors="replace") if isinstance(value, bytes) else repr(value)


def judge(mode: str, file: str, arguments: list[str]) -> dict[str, Any]:
    """Whatever the grader raises is part of the verdict."""
    modes: dict[str, Callable[..., dict[str, Any]]] = {"grade": grade, "interact": interact, "evaluate": evaluate}
    try:
        module = load(file)
    except (Exception, SystemExit) as error:  # noqa: BLE001
        return {"unimportable": summary(error, file)}
    try:
        return modes[mode](module, *arguments)
    except Refused as refusal:
        return {"refused": str(refusal)}
    except Gone:
        return {"refused": "the program gave no reply"}
    except Exception as error:  # noqa: BLE001
        return {"raised": summary(error, file), "trace": own_frames(error)}


def main(mode: str, file: str, *arguments: str) -> None:
    root = os.getcwd()
    os.chdir("task")
    sys.path.insert(0, os.getcwd())
    if mode == "evaluate":
        stand_in_for_openevolve()
    places = [os.path.join(root, arguments[0]), *arguments[1:]] if arguments else []
    verdict = judge(mode, file, places)
    with open(os.path.join(root, "verdict.json"), "w", encoding="utf-8") as out:
        json.dump(verdict, out, default=plain, skipkeys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

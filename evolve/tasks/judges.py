"""The three ways of judging a program: two phases, a dialogue, or an evaluator that runs the program itself.

Knows sandboxes and verdicts, not where a task's files come from.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from evolve.errors import ConfigError
from evolve.graph import Status
from evolve.llm.base import Files
from evolve.sandbox.base import Conversation, ExecResult, Sandbox, SandboxProvider
from evolve.tasks.base import SCORE_CARD, Evaluation, Stage, TaskSheet
from evolve.tasks.verdict import MAX_VERDICT_BYTES, Verdict, clean, failure, finite, judge, last_trace, read_verdict

DRIVERS = ".evolve"
"""Folder of the drivers in a sandbox; no program may have files there."""
CANDIDATE_DRIVER = f"{DRIVERS}/candidate.py"
GRADER_DRIVER = f"{DRIVERS}/grader.py"
MAX_NAME_BYTES = 200
"""Length of a file's or folder's name; file systems allow 255."""
MAX_PARTS = 16
"""Parts of a program's path."""
MAX_OUTPUT = 32_000
"""Characters of a program's stdout and stderr that an evaluation keeps."""
_SOURCES = {
    f"{DRIVERS}/{name}": (Path(__file__).parent / "drivers" / name).read_bytes()
    for name in ("candidate.py", "grader.py")
}


@dataclass(frozen=True, slots=True)
class GraderFiles:
    """The trusted side of a task."""

    file: str
    """Name of the grader or evaluator."""
    origin: Path
    """Where it is on this machine, for messages."""
    files: Mapping[str, bytes]
    """It and everything it may read, by path."""
    score: str | None
    """The metric that is the score; by default `combined_score` or `score`."""
    timeout_s: float
    objectives: Sequence[str] = ()
    """Metrics that every answer must have."""

    def put(self, box: Sandbox) -> None:
        box.write({f"task/{path}": data for path, data in self.files.items()} | _driver(GRADER_DRIVER))

    def argv(self, box: Sandbox, mode: str, *arguments: str) -> list[str]:
        return [*box.python, "-I", GRADER_DRIVER, mode, self.file, *arguments]

    def importable(self, verdict: Verdict | None) -> None:
        """Raise ConfigError for a grader that does not even import: no candidate is to blame."""
        if verdict is not None and verdict.unimportable is not None:
            raise ConfigError(
                f"{self.origin}: cannot be imported: {verdict.unimportable}",
                hint="mend it, or install what it imports where the sandbox's Python finds it",
            )

    def evaluation(self, verdict: Verdict | None, ended: ExecResult) -> Evaluation:
        """What this grader, run without the candidate's code, made of an answer."""
        self.importable(verdict)
        if verdict is None:
            reason = failure(ended, self.timeout_s) or ("invalid", "it left no verdict")
            return _failed("invalid", f"the grader failed: {reason[1]}")
        if verdict.raised is not None:
            return _failed("invalid", f"the grader failed: {verdict.raised}")
        if verdict.refused is not None:
            return _failed("invalid", f"the answer is refused: {verdict.refused}")
        return self.judged(verdict.returned)

    def judged(self, returned: object) -> Evaluation:
        return judge(returned, self.score, self.objectives)


@dataclass(slots=True)
class TwoPhase:
    """Solve, then grade: the answer crosses over as a file of plain data, the program never does."""

    sheet: TaskSheet
    command: Sequence[str]
    """How the program is started; a first word `python` is the sandbox's own."""
    answer: str
    answer_bytes: int
    grader: GraderFiles

    def grade(self, files: Files, provider: SandboxProvider) -> Evaluation:
        if problem := unfit(files):
            return _failed("invalid", problem)
        with provider.open() as box:
            box.write(_program(self.sheet, files))
            solved = box.exec(_argv(self.command, box), timeout_s=self.sheet.timeout_s)
            failed = failure(solved, self.sheet.timeout_s)
            answer = None if failed else box.read(self.answer, max_bytes=self.answer_bytes)
        if answer is None:
            status, feedback = failed or ("invalid", self._no_answer())
            return _with_output(_failed(status, feedback), solved, (Stage("solve", status, solved.seconds),))
        handed = f"answer/{PurePosixPath(self.answer).name}"
        with provider.open() as box:
            self.grader.put(box)
            box.write({handed: answer})
            graded = box.exec(self.grader.argv(box, "grade", handed), timeout_s=self.grader.timeout_s)
            verdict = read_verdict(box.read("verdict.json", max_bytes=MAX_VERDICT_BYTES))
        evaluation = self.grader.evaluation(verdict, graded)
        stages = (
            Stage("solve", "scored", solved.seconds),
            Stage("grade", evaluation.status, graded.seconds, evaluation.score),
        )
        return _with_output(evaluation, solved, stages)

    def _no_answer(self) -> str:
        return (
            f"the program left no {self.answer}, or not as a plain file of at most {self.answer_bytes / 2**20:.3g} MB"
        )


@dataclass(slots=True)
class Talk:
    """How a dialogue went."""

    ended: str = "grader"
    """`grader`: it asks no more; `program`: it gave no reply; `late`: it replied too late."""
    asked: int = 0
    last_s: float = 0.0
    """Time of the last reply."""
    program_s: float = 0.0
    grader_s: float = 0.0


def relay(grader: Conversation, program: Conversation, max_bytes: int, ask_timeout_s: float | None) -> Talk:
    """Carry each question to the program and its reply back, unread, until one of them has no more to say.

    A reply is found late when it comes, the first never: it waits for the program to start. A program that does not
    reply at all is ended by its conversation's own limit.
    """
    talk = Talk()
    began = time.perf_counter()
    while (question := grader.receive(max_bytes)) is not None:
        asked = time.perf_counter()
        talk.grader_s += asked - began
        talk.asked += 1
        program.send(question)
        reply = program.receive(max_bytes)
        began = time.perf_counter()
        talk.last_s = began - asked
        talk.program_s += talk.last_s
        if reply is None:
            talk.ended = "program"
            return talk
        if ask_timeout_s is not None and talk.asked > 1 and talk.last_s > ask_timeout_s:
            talk.ended = "late"
            return talk
        grader.send(reply)
    talk.grader_s += time.perf_counter() - began
    return talk


@dataclass(slots=True)
class Dialogue:
    """The grader asks, the program replies, each in its own sandbox; only bounded lines pass between them."""

    sheet: TaskSheet
    command: Sequence[str]
    answer_bytes: int
    """Most bytes of one question or reply."""
    ask_timeout_s: float | None
    grader: GraderFiles

    def grade(self, files: Files, provider: SandboxProvider) -> Evaluation:
        if problem := unfit(files):
            return _failed("invalid", problem)
        with provider.open() as box, provider.open() as trusted:
            box.write(_program(self.sheet, files))
            self.grader.put(trusted)
            program = box.converse(_argv(self.command, box), timeout_s=self.sheet.timeout_s)
            grader = trusted.converse(
                self.grader.argv(trusted, "interact"), timeout_s=self.sheet.timeout_s + self.grader.timeout_s
            )
            talk = relay(grader, program, self.answer_bytes, self.ask_timeout_s)
            replied, graded = program.finish(), grader.finish()
            verdict = read_verdict(trusted.read("verdict.json", max_bytes=MAX_VERDICT_BYTES))
        if talk.ended == "grader":
            evaluation = self.grader.evaluation(verdict, graded)
        else:
            self.grader.importable(verdict)
            evaluation = self._no_reply(talk, replied)
        stages = (
            Stage("reply", evaluation.status if talk.ended != "grader" else "scored", talk.program_s),
            Stage("grade", evaluation.status, talk.grader_s, evaluation.score),
        )
        return _with_output(evaluation, replied, stages)

    def _no_reply(self, talk: Talk, replied: ExecResult) -> Evaluation:
        where = f"no reply to question {talk.asked}"
        if talk.ended == "late":
            return _failed("timed_out", f"reply {talk.asked} took {talk.last_s:.3g} s of {self.ask_timeout_s:g} s")
        status, reason = failure(replied, self.sheet.timeout_s) or ("crashed", "the program ended by itself")
        if status == "timed_out":
            reason += f" (the program's share {talk.program_s:.3g} s, the grader's {talk.grader_s:.3g} s)"
        return _failed(status, f"{where}: {reason}")


@dataclass(slots=True)
class SelfGraded:
    """An OpenEvolve-style evaluator runs the program itself, in one sandbox: its score is not isolated."""

    sheet: TaskSheet
    program: str
    """The file whose path the evaluator is given."""
    cascade_thresholds: Sequence[float]
    grader: GraderFiles

    def grade(self, files: Files, provider: SandboxProvider) -> Evaluation:
        if problem := unfit(files):
            return _failed("invalid", problem)
        placed = {f"program/{path}": data for path, data in _sources(self.sheet, files).items()}
        cascade = (self.sheet.direction, *map(str, self.cascade_thresholds)) if self.cascade_thresholds else ()
        with provider.open() as box:
            box.write(placed)
            self.grader.put(box)
            argv = self.grader.argv(box, "evaluate", f"program/{self.program}", *cascade)
            ended = box.exec(argv, timeout_s=self.grader.timeout_s)
            verdict = read_verdict(box.read("verdict.json", max_bytes=MAX_VERDICT_BYTES))
        if verdict is not None and verdict.unimportable is not None:
            self._confirm(provider)
        evaluation = self._evaluation(verdict, ended)
        stages = tuple(_stage(raw) for raw in verdict.stages) if verdict else ()
        return _with_output(
            evaluation, ended, stages or (Stage("evaluate", evaluation.status, ended.seconds, evaluation.score),)
        )

    def _confirm(self, provider: SandboxProvider) -> None:
        """Import the evaluator where no candidate is near, since a candidate may have forged that it fails."""
        with provider.open() as box:
            self.grader.put(box)
            box.exec(self.grader.argv(box, "evaluate", "program/none"), timeout_s=self.grader.timeout_s)
            self.grader.importable(read_verdict(box.read("verdict.json", max_bytes=MAX_VERDICT_BYTES)))

    def _evaluation(self, verdict: Verdict | None, ended: ExecResult) -> Evaluation:
        if failed := failure(ended, self.grader.timeout_s):
            return _failed(*failed)
        if verdict is None:
            return _failed("crashed", f"the evaluator was ended before its verdict\n{last_trace(ended.stderr)}".strip())
        if reason := verdict.raised or verdict.unimportable:
            return _failed("crashed", f"{reason}\n{verdict.trace}".strip())
        return self.grader.judged(verdict.returned)


def unfit(paths: Iterable[str]) -> str | None:
    """What is wrong with the paths of a program's files; None if nothing is."""
    names = list(paths)
    if SCORE_CARD in names:
        return f"a program cannot have a file {SCORE_CARD!r}: a run's score card has that name"
    return misplaced(names)


def misplaced(paths: Iterable[str]) -> str | None:
    """What is wrong with paths; None when they can be written, stay in their folder and out of ours."""
    names = set(paths)
    for path in names:
        parts = path.split("/")
        folders = {"/".join(parts[:depth]) for depth in range(1, len(parts))}
        writable = path.isprintable() and all(len(part.encode()) <= MAX_NAME_BYTES for part in parts)
        if (
            not writable
            or {"", ".", ".."} & set(parts)
            or parts[0] == DRIVERS
            or folders & names
            or len(parts) > MAX_PARTS
        ):
            return f"a program cannot have a file at {clean(path, 80)!r}"
    return None


def _sources(sheet: TaskSheet, files: Files) -> dict[str, bytes]:
    """The program as bytes; protected files are the task's own, whatever the candidate says."""
    kept = {path: sheet.initial[path] for path in sheet.protected}
    return {path: text.encode("utf-8", "surrogatepass") for path, text in {**files, **kept}.items()}


def _program(sheet: TaskSheet, files: Files) -> dict[str, bytes]:
    return _sources(sheet, files) | _driver(CANDIDATE_DRIVER)


def _driver(path: str) -> dict[str, bytes]:
    return {path: _SOURCES[path]}


def _argv(command: Sequence[str], box: Sandbox) -> list[str]:
    first, *rest = command
    return [*(box.python if first == "python" else (first,)), *rest]


def _failed(status: Status, feedback: str) -> Evaluation:
    return Evaluation(status, None, feedback=clean(feedback, keep="end"))


def _stage(raw: Mapping[str, object]) -> Stage:
    score = finite(raw.get("score"))
    seconds = finite(raw.get("seconds")) or 0.0
    return Stage(clean(str(raw.get("name")), 40), "scored" if score is not None else "invalid", seconds, score)


def _with_output(evaluation: Evaluation, ended: ExecResult, stages: tuple[Stage, ...]) -> Evaluation:
    return replace(
        evaluation,
        stdout=clean(ended.stdout, MAX_OUTPUT, keep="end"),
        stderr=clean(ended.stderr, MAX_OUTPUT, keep="end"),
        exit_code=ended.exit_code,
        stages=stages,
        seconds=sum(stage.seconds for stage in stages),
    )

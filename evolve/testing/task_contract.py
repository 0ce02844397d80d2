"""What every task plugin must hold, and a sandbox without walls to try one in.

    class TestMyTask(TaskContract):
        def build(self) -> Task:
            return Config(path=...).build(BuildContext(...))

`provider` may be overridden to run the same suite in a real sandbox.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from evolve.errors import SandboxUnavailable
from evolve.sandbox.base import Conversation, ExecResult, ExitStatus, Level, Sandbox, SandboxProvider
from evolve.tasks.base import Evaluation, Task, TaskSheet


class TaskContract:
    """Subclass it in a test module; every method named test_ is one obligation."""

    def build(self) -> Task:
        """A fresh task whose initial program can be scored."""
        raise NotImplementedError

    def provider(self) -> SandboxProvider:
        return BareProvider()

    def test_the_sheet_is_complete(self) -> None:
        sheet = self.build().sheet
        assert sheet.name
        assert sheet.description.strip()
        assert sheet.interface.strip()
        assert sheet.direction in ("maximize", "minimize")
        assert sheet.initial
        assert sheet.protected <= set(sheet.initial)
        assert sheet.timeout_s > 0
        assert sheet.reference is None or math.isfinite(sheet.reference)
        for program in (sheet.initial, *sheet.given):
            assert program
            assert sheet.protected <= set(program)
            assert not any(path.startswith("/") or ".." in path.split("/") for path in program)
        assert sheet.repeats >= 1
        assert sheet.bound is None or math.isfinite(sheet.bound)
        assert sheet.suspicious_spreads is None or sheet.suspicious_spreads > 0
        assert len({objective.name for objective in sheet.objectives}) == len(sheet.objectives) != 1

    def test_the_initial_program_is_scored_and_always_the_same(self) -> None:
        """The same score each time, unless the task says by `repeats` that its scores vary."""
        task = self.build()
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(lambda _: task.grade(task.sheet.initial, self.provider()), range(3)))
        for evaluation in found:
            check(evaluation)
            assert evaluation.status == "scored", evaluation.feedback
            assert possible(evaluation, task.sheet)
            assert evaluation.metrics.keys() >= {objective.name for objective in task.sheet.objectives}
        scores = {(evaluation.score, tuple(evaluation.metrics.items())) for evaluation in found}
        assert len(scores) == 1 or task.sheet.repeats > 1

    def test_every_given_program_can_be_judged(self) -> None:
        task = self.build()
        for program in task.sheet.given:
            evaluation = task.grade(program, self.provider())
            check(evaluation)
            assert possible(evaluation, task.sheet)

    def test_a_broken_program_is_a_result_with_a_reason(self) -> None:
        task = self.build()
        for text in ("", "}{ not a program", "import os\nos._exit(0)\n", "raise SystemExit('no')\n"):
            evaluation = task.grade(dict.fromkeys(task.sheet.initial, text), self.provider())
            check(evaluation)
            assert evaluation.status != "scored"

    def test_a_misplaced_file_is_a_result(self) -> None:
        task = self.build()
        for path in ("../escape.py", "/escape.py", ""):
            evaluation = task.grade({**task.sheet.initial, path: "x"}, self.provider())
            check(evaluation)
            assert evaluation.status != "scored"

    def test_every_sandbox_is_closed_once(self) -> None:
        task = self.build()
        counting = CountingProvider(self.provider())
        task.grade(task.sheet.initial, counting)
        task.grade(dict.fromkeys(task.sheet.initial, "raise ValueError\n"), counting)
        assert counting.opened
        assert counting.opened == counting.closed

    def test_a_sandbox_that_fails_blames_nobody(self) -> None:
        task = self.build()
        broken = CountingProvider(self.provider(), failing=True)
        try:
            task.grade(task.sheet.initial, broken)
        except SandboxUnavailable:
            return
        raise AssertionError("a failing sandbox must reach the caller as SandboxError")


def check(evaluation: Evaluation) -> None:
    """What any evaluation must be, whatever the program did."""
    assert (evaluation.score is not None) == (evaluation.status == "scored")
    assert evaluation.score is None or math.isfinite(evaluation.score)
    assert all(math.isfinite(value) for value in evaluation.metrics.values())
    assert evaluation.status == "scored" or evaluation.feedback.strip(), "a failure names its reason"
    for text in (evaluation.feedback, evaluation.stdout, evaluation.stderr, *evaluation.artifacts.values()):
        assert all(c.isprintable() or c in "\n\t" for c in text)
        assert len(text) < 100_000


def possible(evaluation: Evaluation, sheet: TaskSheet) -> bool:
    """Whether a score is within the task's own bound."""
    if evaluation.score is None or sheet.bound is None:
        return True
    return evaluation.score <= sheet.bound if sheet.direction == "maximize" else evaluation.score >= sheet.bound


class CountingProvider:
    """Counts what is opened and closed; may refuse to open anything."""

    def __init__(self, inner: SandboxProvider, *, failing: bool = False) -> None:
        self.level: Level = inner.level
        self.opened = 0
        self.closed = 0
        self._inner = inner
        self._failing = failing

    def prepare(self) -> None:
        self._inner.prepare()

    def describe(self) -> str:
        return self._inner.describe()

    def sweep(self) -> int:
        return self._inner.sweep()

    def close(self) -> None:
        self._inner.close()

    def open(self) -> Sandbox:
        if self._failing:
            raise SandboxUnavailable("the sandbox went away", hint="this is a test")
        self.opened += 1
        return _Counted(self._inner.open(), self)


class _Counted:
    def __init__(self, inner: Sandbox, counter: CountingProvider) -> None:
        self.level: Level = inner.level
        self.python = inner.python
        self.write, self.exec, self.converse, self.read = inner.write, inner.exec, inner.converse, inner.read
        self._inner, self._counter = inner, counter

    def close(self) -> None:
        self._counter.closed += 1
        self._inner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BareProvider:
    """Temporary folders and plain processes: no walls, only time limits. For programs you wrote yourself."""

    level: Level = "process"

    def prepare(self) -> None: ...

    def describe(self) -> str:
        return "bare: nothing is enforced but time"

    def open(self) -> Sandbox:
        return BareSandbox()

    def sweep(self) -> int:
        return 0

    def close(self) -> None: ...


class BareSandbox:
    """One temporary folder."""

    level: Level = "process"
    python: tuple[str, ...] = (sys.executable,)

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="bare-"))

    def write(self, files: Mapping[str, bytes]) -> None:
        for path, data in files.items():
            target = self._folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)

    def exec(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"") -> ExecResult:
        began = time.perf_counter()
        status: ExitStatus = "exited"
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, self._start(argv, out, err) as process:
            try:
                process.communicate(stdin, timeout=timeout_s)
            except subprocess.TimeoutExpired:
                status = "timed_out"
            _kill(process)
            seconds = time.perf_counter() - began
            return _result(process.wait(), status, _content(out), _content(err), seconds)

    def converse(self, argv: Sequence[str], *, timeout_s: float) -> Conversation:
        err = tempfile.TemporaryFile()  # noqa: SIM115  closed by finish()
        return BareConversation(self._start(argv, subprocess.PIPE, err), err, timeout_s)

    def _start(self, argv: Sequence[str], out: int | IO[bytes], err: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            argv,
            cwd=self._folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self._folder)},
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )

    def read(self, path: str, *, max_bytes: int) -> bytes | None:
        target = self._folder / path
        if target.is_symlink() or not target.is_file() or target.stat().st_size > max_bytes:
            return None
        return target.read_bytes()

    def close(self) -> None:
        shutil.rmtree(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BareConversation:
    """A running program, spoken to over its pipes."""

    def __init__(self, process: subprocess.Popen[bytes], err: IO[bytes], timeout_s: float) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._stdin, self._stdout, self._err = process, process.stdin, process.stdout, err
        self._status: ExitStatus = "exited"
        self._began = time.perf_counter()
        self._timer = threading.Timer(timeout_s, self._end, ["timed_out"])
        self._timer.start()

    def send(self, line: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._stdin.write(line + b"\n")
            self._stdin.flush()

    def receive(self, max_bytes: int) -> bytes | None:
        line = self._stdout.readline(max_bytes + 1)
        if len(line) > max_bytes and not line.endswith(b"\n"):
            self._end("output_limit")
            return None
        return line.removesuffix(b"\n") if line.endswith(b"\n") else None

    def finish(self) -> ExecResult:
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        try:
            self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            _kill(self._process)
        self._timer.cancel()
        self._timer.join()
        code = self._process.wait()
        self._stdout.close()
        with self._err:
            return _result(code, self._status, "", _content(self._err), time.perf_counter() - self._began)

    def _end(self, status: ExitStatus) -> None:
        self._status = status
        _kill(self._process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _result(code: int, status: ExitStatus, stdout: str, stderr: str, seconds: float) -> ExecResult:
    if status == "exited" and code < 0:
        status = "killed"
    return ExecResult(status, code if status == "exited" else None, stdout, stderr, seconds)

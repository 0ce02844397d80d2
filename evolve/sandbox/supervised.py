"""The controller's end of `supervisor.py`: sandboxes made of a supervisor in whatever a level encloses it with.

A level brings a `Launcher`, which starts supervisors; everything a sandbox does is the same for all of them. Knows the
frames and nothing of namespaces or engines.
"""

from __future__ import annotations

import functools
import marshal
import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Protocol, Self, cast

from evolve.errors import SandboxError, SandboxUnavailable
from evolve.sandbox.base import Conversation, ExecResult, ExitStatus, Level, LimitsConfig
from evolve.sandbox.supervisor import HEADER, READ, RESULT, RUN

CHUNK = 1 << 16
START_S = 60.0
"""A supervisor that has not reported by then has failed to start."""
ANSWER_S = 60.0
"""Longest a file may take to go in or out."""
LATE_S = 0.6
"""How long after a program's deadline the supervisor may still report; then the whole sandbox is ended from outside."""

PATIENCE_S = 2.0
"""How long a supervisor may take to end its tree once its channel is closed."""

BOOT = """
import marshal, os, sys
size, code = int(sys.argv[1]), b''
while len(code) < size:
    chunk = os.read(0, size - len(code))
    if not chunk: sys.exit()
    code += chunk
exec(marshal.loads(code))
"""
"""Takes the supervisor from stdin: no file of ours has to be visible inside, and `ps` stays readable."""

SUPERVISOR = Path(__file__).with_name("supervisor.py")


@functools.cache
def supervisor_code(*, compiled: bool) -> bytes:
    """What `BOOT` reads: byte code for the interpreter that runs us (saves 10 ms a start), source for any other."""
    source = SUPERVISOR.read_bytes()
    return marshal.dumps(compile(source, SUPERVISOR.name, "exec") if compiled else source)


def supervisor_argv(python: Sequence[str], limits: LimitsConfig, *, watched: bool, compiled: bool) -> list[str]:
    settings = (
        limits.memory_mb << 20,
        limits.processes,
        limits.disk_mb << 20,
        limits.output_kb << 10,
        round(limits.cpus * 100),
        int(watched),
    )
    size = len(supervisor_code(compiled=compiled))
    return [*python, "-I", "-S", "-c", BOOT, str(size), *map(str, settings)]


def environment(home: str, path: str) -> dict[str, str]:
    """All a program gets to see of an environment. Made from nothing, so that no secret has to be thought of."""
    return {
        "PATH": path,
        "HOME": home,
        "TMPDIR": home,
        "LANG": "C.UTF-8",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def checked(path: str) -> str:
    """A relative path that stays below its folder, in normal form. Raises ValueError for any other."""
    pure = PurePosixPath(path)
    if "\0" in path or pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise ValueError(f"{path!r} is not a relative path below the working directory")
    return str(pure)


class Cell(Protocol):
    """One started supervisor and what encloses it."""

    sock: socket.socket
    """Its stdin and stdout."""
    multiplexed: bool
    """Whether output comes in the Docker engine's stream format, with stderr among it."""

    def destroy(self, *, patience_s: float) -> None:
        """End and remove everything; force is used after `patience_s`.

        Safe from any thread, also while another one waits for `sock`, which is shut down but not closed; repeatable.
        """
        ...

    def release(self) -> None:
        """Close what is open. Called once, after `destroy`, when no other thread uses the cell."""
        ...

    def fall(self, stderr: str) -> ExitStatus | SandboxError:
        """The supervisor fell silent: how the program brought that about, or why it is not the program's doing.

        `stderr` is what the supervisor said, where it came through `sock`.
        """
        ...


class Launcher(Protocol):
    """What a level knows. Thread-safe."""

    level: Level
    python: tuple[str, ...]
    compiled: bool
    """Whether `python` is the interpreter that runs us."""
    probe: str
    """Python source that prints `expected` where the level keeps its promises."""
    expected: str

    def check(self) -> None:
        """Raise SandboxUnavailable or ImageMissing if something that can be looked for is not there."""
        ...

    def launch(self) -> Cell: ...

    def describe(self) -> str: ...

    def sweep(self) -> int: ...

    def close(self) -> None:
        """Give back what all sandboxes shared."""
        ...


class Closed(Exception):
    """The supervisor's end is gone."""


class Late(Exception):
    """No answer in time."""


class Wire:
    """Frames over a cell's socket."""

    def __init__(self, sock: socket.socket, *, multiplexed: bool) -> None:
        self._sock = sock
        self._multiplexed = multiplexed
        self._using = threading.Lock()
        self._raw = bytearray()
        self._frames = bytearray()
        self.stderr = ""

    def send(self, data: bytes, deadline: float) -> None:
        try:
            with self._using:
                self._sock.settimeout(max(0.001, deadline - time.monotonic()))
                self._sock.sendall(data)
        except TimeoutError:
            raise Late from None
        except OSError:
            raise Closed from None

    def receive(self, deadline: float) -> tuple[bytes, bytes]:
        """The next frame."""
        while (frame := self._take()) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Late
            try:
                with self._using:
                    self._sock.settimeout(left)
                    chunk = self._sock.recv(CHUNK)
            except TimeoutError:
                raise Late from None
            except OSError:
                raise Closed from None
            if not chunk:
                raise Closed
            self._sort(chunk)
        return frame

    def wait_unused(self) -> None:
        """Return when no thread is in `send` or `receive`; none stays there once the socket was shut down."""
        with self._using:
            pass

    def _sort(self, chunk: bytes) -> None:
        """Put what belongs to stdout into `_frames`."""
        if not self._multiplexed:
            self._frames += chunk
            return
        self._raw += chunk
        while len(self._raw) >= 8:
            stream, length = self._raw[0], int.from_bytes(self._raw[4:8], "big")
            if len(self._raw) < 8 + length:
                return
            body = self._raw[8 : 8 + length]
            del self._raw[: 8 + length]
            if stream == 1:
                self._frames += body
            else:
                self.stderr = (self.stderr + body.decode(errors="replace"))[-4096:]

    def _take(self) -> tuple[bytes, bytes] | None:
        if len(self._frames) < HEADER.size:
            return None
        kind, length = HEADER.unpack_from(self._frames)
        end = HEADER.size + length
        if len(self._frames) < end:
            return None
        body = bytes(self._frames[HEADER.size : end])
        del self._frames[:end]
        return kind, body


def frame(kind: bytes, body: bytes = b"") -> bytes:
    return HEADER.pack(kind, len(body)) + body


def run_frame(kind: bytes, argv: Sequence[str], timeout_s: float) -> bytes:
    if not argv or any("\0" in word for word in argv):
        raise ValueError(f"{argv!r} is not a command")
    return frame(kind, RUN.pack(timeout_s) + b"\0".join(map(os.fsencode, argv)))


def parse_result(body: bytes) -> ExecResult:
    status, code, seconds, split = RESULT.unpack_from(body)
    text = body[RESULT.size :]
    return ExecResult(
        status=cast(ExitStatus, status.rstrip(b"\0").decode()),
        exit_code=code if code >= 0 else None,
        stdout=text[:split].decode(errors="replace"),
        stderr=text[split:].decode(errors="replace"),
        seconds=seconds,
    )


class SupervisedSandbox:
    """A sandbox served by one supervisor.

    A program that brings its supervisor down ruins its own sandbox and nothing else: from then on every program in it
    ends the same way and no file can be read.
    """

    def __init__(self, launcher: Launcher, opened: set[SupervisedSandbox]) -> None:
        self.level = launcher.level
        self.python = launcher.python
        self._opened = opened
        self._cell = launcher.launch()
        self._wire = Wire(self._cell.sock, multiplexed=self._cell.multiplexed)
        self._fallen: ExitStatus | None = None
        self._state = threading.Lock()
        self._closed = False
        opened.add(self)
        deadline = time.monotonic() + START_S
        try:
            self._wire.send(supervisor_code(compiled=launcher.compiled), deadline)
            self._wire.receive(deadline)
        except (Closed, Late):
            reason = self._cell.fall(self._wire.stderr)
            self.close()
            if isinstance(reason, SandboxError):
                raise reason from None
            raise SandboxUnavailable(
                f"a {self.level} sandbox did not start", hint="`evolve doctor` says what works here"
            ) from None
        except BaseException:
            self.close()
            raise

    def write(self, files: Mapping[str, bytes]) -> None:
        requests = [frame(b"w", os.fsencode(checked(path)) + b"\0" + content) for path, content in files.items()]
        for request in requests:
            answer = self._ask(request)
            if answer is not None and answer[0] == b"e":
                raise SandboxError(
                    f"cannot put a file into the {self.level} sandbox: {os.fsdecode(answer[1])}",
                    hint="raise sandbox.disk_mb, or give the task fewer or smaller files",
                )

    def read(self, path: str, *, max_bytes: int) -> bytes | None:
        answer = self._ask(frame(b"r", READ.pack(max_bytes) + os.fsencode(checked(path))))
        return answer[1] if answer is not None and answer[0] == b"f" else None

    def exec(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"") -> ExecResult:
        talk = SupervisedConversation(self, run_frame(b"x", argv, timeout_s), timeout_s)
        for start in range(0, len(stdin), CHUNK):
            talk.post(frame(b"i", stdin[start : start + CHUNK]))
        return talk.finish()

    def converse(self, argv: Sequence[str], *, timeout_s: float) -> Conversation:
        return SupervisedConversation(self, run_frame(b"t", argv, timeout_s), timeout_s)

    def close(self) -> None:
        with self._state:
            if self._closed:
                return
            self._closed = True
        self._cell.destroy(patience_s=PATIENCE_S)
        self._wire.wait_unused()
        with self._state:
            self._cell.release()
        self._opened.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, request: bytes) -> tuple[bytes, bytes] | None:
        """The supervisor's answer; None once a program has brought the sandbox down."""
        if self.fallen is not None:
            return None
        deadline = time.monotonic() + ANSWER_S
        try:
            self._wire.send(request, deadline)
            return self._wire.receive(deadline)
        except (Closed, Late):
            self.fall()
            return None

    @property
    def fallen(self) -> ExitStatus | None:
        """How a program brought the sandbox down, if one did."""
        return self._fallen

    @property
    def wire(self) -> Wire:
        return self._wire

    def overdue(self) -> None:
        """The supervisor does not end a program that is out of time; so everything ends."""
        self._fallen = "timed_out"
        self._cell.destroy(patience_s=0.0)

    def fall(self) -> ExitStatus:
        """The supervisor is gone. Raises SandboxError unless that is a program's doing."""
        with self._state:
            if self._closed:
                raise SandboxUnavailable("the sandbox was closed while in use", hint="a stopped run can be resumed")
            reason = self._cell.fall(self._wire.stderr)
        self._cell.destroy(patience_s=0.0)
        if isinstance(reason, SandboxError):
            raise reason
        self._fallen = reason
        return reason


class SupervisedConversation:
    """A program that runs in a sandbox. `exec` is one without replies."""

    def __init__(self, sandbox: SupervisedSandbox, request: bytes, timeout_s: float) -> None:
        self._sandbox = sandbox
        self._started = time.monotonic()
        self._deadline = self._started + timeout_s + LATE_S
        self._received = bytearray()
        self._result = None if sandbox.fallen is None else self._ended(sandbox.fallen)
        self._broken = False
        """A line was longer than allowed."""
        self.post(request)

    def send(self, line: bytes) -> None:
        self.post(frame(b"i", line + b"\n"))

    def receive(self, max_bytes: int) -> bytes | None:
        while not self._broken:
            line, newline, rest = self._received.partition(b"\n")
            if len(line) > max_bytes:
                self._broken = True
            elif newline:
                self._received = rest
                return bytes(line)
            elif self._result is not None:
                return None
            else:
                self._step()
        return None

    def finish(self) -> ExecResult:
        self.post(frame(b"c"))
        while self._result is None:
            self._received.clear()
            self._step()
        if self._broken:
            return ExecResult("output_limit", None, "", self._result.stderr, self._result.seconds)
        return self._result

    def post(self, data: bytes) -> None:
        """Send a frame, unless the program has ended."""
        if self._result is None:
            try:
                self._sandbox.wire.send(data, self._deadline)
            except Late:
                self._overdue()
            except Closed:
                self._result = self._ended(self._sandbox.fall())

    def _step(self) -> None:
        try:
            kind, body = self._sandbox.wire.receive(self._deadline)
        except Late:
            self._overdue()
        except Closed:
            self._result = self._ended(self._sandbox.fall())
        else:
            if kind == b"d":
                self._result = parse_result(body)
            else:
                self._received += body

    def _overdue(self) -> None:
        self._sandbox.overdue()
        self._result = self._ended("timed_out")

    def _ended(self, status: ExitStatus) -> ExecResult:
        note = "[sandbox: the program brought its supervisor down]\n"
        return ExecResult(status, None, "", note, time.monotonic() - self._started)


class SupervisedProvider:
    """Opens supervised sandboxes of one level."""

    def __init__(self, launcher: Launcher) -> None:
        self.level = launcher.level
        self._launcher = launcher
        self._opened: set[SupervisedSandbox] = set()
        self._closed = False
        self._starting = 0
        self._changed = threading.Condition()

    def prepare(self) -> None:
        self._launcher.check()
        with self.open() as sandbox:
            result = sandbox.exec([*sandbox.python, "-c", self._launcher.probe], timeout_s=START_S)
        if result.stdout.strip() != self._launcher.expected:
            raise SandboxUnavailable(
                f"the {self.level} sandbox does not keep its promises: a probe should have printed "
                f"{self._launcher.expected!r}, but it {result.status} with {(result.stdout + result.stderr)[-500:]!r}",
                hint="`evolve doctor` says what works here",
            )

    def describe(self) -> str:
        return self._launcher.describe()

    def open(self) -> SupervisedSandbox:
        with self._changed:
            if self._closed:
                raise SandboxUnavailable("the sandboxes of this run were closed", hint="resume the run")
            self._starting += 1
        try:
            return SupervisedSandbox(self._launcher, self._opened)
        finally:
            with self._changed:
                self._starting -= 1
                self._changed.notify_all()

    def sweep(self) -> int:
        return self._launcher.sweep()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            # One that is half started cannot be ended yet, and would be left behind if this process ended now.
            self._changed.wait_for(lambda: self._starting == 0, timeout=START_S)
        for sandbox in list(self._opened):
            sandbox.close()
        self._launcher.close()

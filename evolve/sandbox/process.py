"""Level `process`: a private directory, limits and a whole tree that is killed. For programs you would run yourself.

What it cannot stop: a program of the same user can read your files, use the network, see other processes and signal
them, its own supervisor included (its sandbox is then ended and cleaned up as well as can be). Use it by name only.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from evolve.errors import SandboxError, SandboxUnavailable
from evolve.plugins import BuildContext
from evolve.sandbox.base import ExitStatus, Level, LimitsConfig, SandboxProvider
from evolve.sandbox.owner import Owner, this_process
from evolve.sandbox.supervised import SupervisedProvider, environment, supervisor_argv

PREFIX = "evolve-sandbox-"
DYING_S = 2.0
"""How long killed processes may take to be gone."""
DOCTOR = "`evolve doctor` says what works here"


class Config(LimitsConfig):
    """Run candidates as ordinary processes: limits and clean-up, but no protection of your files and network."""

    kind: Literal["process"] = "process"

    def build(self, context: BuildContext) -> SandboxProvider:  # noqa: ARG002
        return SupervisedProvider(ProcessLauncher(self))


class ChildCell:
    """A supervisor started as a child of ours, on one end of a socket pair."""

    multiplexed = False

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        outlived: ExitStatus | None = None,
        bury: Callable[[bool], None] = lambda _clean: None,
    ) -> None:
        """`outlived`: what it says of a program that its supervisor ended first; None where no program can do that.
        `bury` removes what is left when the supervisor has ended, and is told whether it ended as it should.
        """
        self.sock, theirs = socket.socketpair()
        self._stderr = os.memfd_create("stderr")
        self._outlived = outlived
        self._bury = bury
        try:
            self._process = subprocess.Popen(
                argv,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._stderr,
                env=env,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            self.release()
            bury(True)
            raise SandboxUnavailable(f"{argv[0]} cannot be started: {error.strerror}", hint=DOCTOR) from None
        finally:
            theirs.close()

    def destroy(self, *, patience_s: float) -> None:
        with contextlib.suppress(OSError):  # the supervisor ended first
            self.sock.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._bury(self._process.returncode == 0)

    def release(self) -> None:
        self.sock.close()
        os.close(self._stderr)

    def fall(self, stderr: str) -> ExitStatus | SandboxError:  # noqa: ARG002
        if self._outlived is not None:
            return self._outlived
        said = os.pread(self._stderr, 4096, 0).decode(errors="replace").strip()
        return SandboxUnavailable(f"a sandbox ended early: {said[-500:]}", hint=DOCTOR)


class ProcessLauncher:
    """Starts supervisors as plain child processes, each in a directory of its own."""

    level: Level = "process"
    compiled = True
    probe = "print(6 * 7)"
    expected = "42"

    def __init__(self, limits: LimitsConfig) -> None:
        self.python: tuple[str, ...] = (sys.executable,)
        self._limits = limits
        self._making = threading.Lock()
        self._home: Path | None = None

    def check(self) -> None:
        if not Path("/proc/thread-self/children").exists():
            raise SandboxUnavailable("this system does not list the children of a process", hint="use sandbox: docker")

    def launch(self) -> ChildCell:
        workdir = tempfile.mkdtemp(dir=self._directory())
        argv = supervisor_argv(self.python, self._limits, watched=True, compiled=self.compiled)
        env = environment(workdir, os.environ.get("PATH", os.defpath))
        return ChildCell(argv, env, outlived="killed", bury=functools.partial(remove_workdir, workdir))

    def describe(self) -> str:
        return (
            "process: limits and clean-up only; files, network and other processes of this user are open to candidates"
        )

    def sweep(self) -> int:
        """Kill the programs and remove the directories of dead owners."""
        removed = 0
        for found in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            owner = Owner.parse(found.name.removeprefix(PREFIX).rpartition("-")[0])
            if owner is None or found.lstat().st_uid != os.geteuid() or found.is_symlink():
                continue
            if owner.dead or not owner.same_boot:
                removed += kill_marked(str(found)) + 1
                remove_tree(str(found))
        return removed

    def close(self) -> None:
        with self._making:
            if self._home is not None:
                remove_tree(str(self._home))
                self._home = None

    def _directory(self) -> Path:
        """One parent for all our sandboxes; its name says whose they are."""
        with self._making:
            if self._home is None:
                self._home = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{this_process()}-"))
            return self._home


def remove_workdir(workdir: str, clean: bool) -> None:
    if not clean:  # the supervisor did not live to see the end of its tree
        kill_marked(workdir)
    remove_tree(workdir)


def kill_marked(marker: str) -> int:
    """Kill every process whose environment names this directory and see them gone, within reason; how many.

    One that hid its environment escapes.
    """
    killed: set[int] = set()
    needle = os.fsencode(marker)
    deadline = time.monotonic() + DYING_S
    while time.monotonic() < deadline:
        living = 0
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if needle in (process / "environ").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)
                    killed.add(int(process.name))
                    living += 1
            except OSError:  # another user's, or gone
                continue
        if not living:
            break
    return len(killed)


def remove_tree(path: str) -> None:
    """Remove a folder whatever a program made of it: unreadable folders, thousands of levels, links that lead away."""
    try:
        shutil.rmtree(path, onerror=_unlock)
    except (OSError, RecursionError):
        subprocess.run(["rm", "-rf", "--", path], check=False, stderr=subprocess.DEVNULL)


def _unlock(function: Callable[..., Any], path: str, _error: object) -> None:
    """Open a folder that could not be entered and go on."""
    if not Path(path).exists():
        return
    for folder in (Path(path).parent, Path(path)):
        if folder.is_dir() and not folder.is_symlink():
            folder.chmod(0o700)
    if function in (os.open, os.scandir, os.listdir):
        remove_tree(path)
    else:
        function(path)

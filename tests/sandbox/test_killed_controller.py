"""A controller that dies without a word takes its candidates with it; what can be left, the next one sweeps up."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evolve.sandbox.base import SandboxProvider
from evolve.testing.sandbox_contract import alive

Build = Callable[..., SandboxProvider]

CONTROLLER = """
import sys, tempfile
from pathlib import Path
from evolve.plugins import BuildContext, config_class
from evolve.testing.sandbox_contract import daemon

kind, token, folder = sys.argv[1:]
tempfile.tempdir = folder
provider = config_class("sandbox", kind)(kind=kind).build(BuildContext(Path.cwd()))
sandbox = provider.open()
body = daemon(token, hold_output=False, then=sys.stdin.read())
talk = sandbox.converse([*sandbox.python, "-uc", body], timeout_s=600)
print(talk.receive(100).decode(), flush=True)
talk.send(b"heard")
talk.receive(100)
"""


@contextlib.contextmanager
def controller(kind: str, token: str, folder: Path, then: str) -> Iterator[None]:
    """A process that runs a candidate with a daemon, killed with -9 once both are seen to be up."""
    with subprocess.Popen(
        [sys.executable, "-c", CONTROLLER, kind, token, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(then.encode())
        process.stdin.close()
        assert process.stdout.readline() == b"started\n"
        until(lambda: len(alive(token)) >= 2)  # the controller itself and the daemon
        try:
            yield
        finally:
            process.kill()


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


@pytest.fixture
def token() -> Iterator[str]:
    token = uuid.uuid4().hex
    yield token
    for pid in alive(token):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place for private directories that no other test looks at."""
    with tempfile.TemporaryDirectory() as name:
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)


@pytest.fixture(params=["process", "namespace", pytest.param("docker", marks=pytest.mark.docker)])
def kind(request: pytest.FixtureRequest) -> str:
    """A level that works here."""
    request.getfixturevalue(request.param)
    return str(request.param)


def test_nothing_outlives_a_killed_controller(kind: str, token: str, folder: Path, build: Build) -> None:
    with controller(kind, token, folder, "import time; time.sleep(600)"):
        pass
    until(lambda: alive(token) == [])
    next_run = build(kind)
    next_run.sweep()
    assert list(folder.iterdir()) == []
    assert next_run.sweep() == 0


def test_sweep_ends_what_a_stopped_supervisor_could_not(token: str, folder: Path, process: SandboxProvider) -> None:
    stop = "import signal, time; input(); os.kill(os.getppid(), signal.SIGSTOP); print('stopped'); time.sleep(600)"
    with controller("process", token, folder, stop):
        until(lambda: any(state(pid) == "T" for pid in supervisors(folder)))
    assert alive(token)
    assert process.sweep() > 1
    until(lambda: alive(token) == [])
    assert list(folder.iterdir()) == []


def supervisors(folder: Path) -> list[int]:
    """Processes that have a sandbox of this folder for their home."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if f"HOME={folder}".encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def state(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return "gone"


def test_sweep_leaves_the_living_and_strangers_alone(folder: Path, process: SandboxProvider) -> None:
    (folder / "evolve-sandbox-notes").mkdir()
    (folder / "evolve-sandbox-1-2-3-4-5-x").mkdir()
    with controller("process", token := uuid.uuid4().hex, folder, "import time; time.sleep(600)"):
        assert process.sweep() == 0
        assert alive(token)
    until(lambda: process.sweep() > 0)
    assert len(list(folder.iterdir())) == 2

"""What a hostile program of the same user can do to its own sandbox, and to no other."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from evolve.errors import SandboxUnavailable
from evolve.sandbox.base import SandboxProvider
from evolve.sandbox.process import PREFIX, remove_tree
from evolve.testing.sandbox_contract import alive, daemon, run

Build = Callable[..., SandboxProvider]
KILL = "import os, signal; os.kill(os.getppid(), signal.SIGKILL); import time; time.sleep(60)"
STOP = "import os, signal; os.kill(os.getppid(), signal.SIGSTOP); import time; time.sleep(60)"


def test_killing_the_supervisor_only_ruins_the_own_sandbox(process: SandboxProvider) -> None:
    token = uuid.uuid4().hex
    with process.open() as sandbox:
        sandbox.write({"x": b"1"})
        result = run(sandbox, daemon(token, hold_output=True, then=KILL))
        assert (result.status, result.exit_code) == ("killed", None)
        assert "supervisor" in result.stderr
        assert run(sandbox, "print(1)").status == "killed"
        assert sandbox.converse(["x"], timeout_s=1).receive(10) is None
        assert sandbox.read("x", max_bytes=9) is None
        sandbox.write({"y": b"2"})
    assert alive(token) == []
    with process.open() as sandbox:
        assert run(sandbox, "print(1)").stdout == "1\n"


def test_stopping_the_supervisor_does_not_stop_the_clock(process: SandboxProvider) -> None:
    token = uuid.uuid4().hex
    with process.open() as sandbox:
        result = run(sandbox, daemon(token, hold_output=True, then=STOP), timeout_s=1.0)
        assert result.status == "timed_out"
        assert 1.0 < result.seconds < 2.0
    assert alive(token) == []


def test_a_directory_goes_whatever_was_made_of_it(process: SandboxProvider, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    source = f"""
import os
os.symlink({str(outside)!r}, 'link')
os.makedirs('closed/inside'); open('closed/inside/file', 'w'); os.chmod('closed/inside', 0); os.chmod('closed', 0)
home = os.getcwd()
for _ in range(1500):
    os.mkdir('d'); os.chdir('d')
print(home)
"""
    with process.open() as sandbox:
        result = run(sandbox, source)
    home = Path(result.stdout.strip())
    assert home.name
    assert home.parent.name.startswith(PREFIX)
    assert not home.exists()
    assert (outside / "kept").exists()


def test_removing_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    remove_tree(str(tmp_path / "nothing"))


def test_a_closed_provider_opens_nothing_and_leaves_nothing(build: Build) -> None:
    provider = build("process")
    sandbox = provider.open()
    home = Path(run(sandbox, "import os; print(os.getcwd())").stdout.strip())
    provider.close()
    assert not home.parent.exists()
    with pytest.raises(SandboxUnavailable):
        provider.open()
    with pytest.raises(SandboxUnavailable):
        sandbox.read("x", max_bytes=1)
    sandbox.close()


def test_the_header_says_what_is_not_protected(build: Build) -> None:
    assert "network" in build("process").describe()


@pytest.mark.parametrize("argv", [[], ["a\0b"]])
def test_what_is_no_command_is_refused(process: SandboxProvider, argv: list[str]) -> None:
    with process.open() as sandbox, pytest.raises(ValueError):
        sandbox.exec(argv, timeout_s=1)

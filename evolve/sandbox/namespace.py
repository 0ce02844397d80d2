"""Level `namespace`: bubblewrap. No network, no host files, own processes only; memory is watched from inside.

A candidate sees the system's programs and this Python read-only, and two sized tmpfs. Every kernel namespace is new, all
capabilities are gone, and the supervisor is pid 1 of it, so nothing inside can signal or outlive it. Not yet here: a
system call filter, and doing without bubblewrap.

Started by root, bubblewrap would leave the candidate the host's user 0, on whom the kernel enforces no process limit. A
first bubblewrap then shows the same trees at the same places with passable parents (a Python below /root is closed to
others), and the real one is started inside it as an unprivileged user.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from evolve.errors import SandboxUnavailable
from evolve.plugins import BuildContext
from evolve.sandbox.base import Level, LimitsConfig, SandboxProvider
from evolve.sandbox.process import ChildCell
from evolve.sandbox.supervised import SupervisedProvider, environment, supervisor_argv

WORKDIR = "/candidate"
"""A name no system folder and hardly a checkout has: what lies there on the host would be hidden."""
NOBODY = "65534"
SHARED_MEMORY_MB = 16
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/alternatives", "/etc/ld.so.cache")
"""What programs need of the system, where it exists; links stay links."""

PROBE = """
import os
with open("/proc/net/dev") as file:
    networks = [line.split(":")[0].strip() for line in file if ":" in line]
print(os.getpid() != 1, os.getppid(), networks, os.listdir("/candidate"), os.access("/", os.W_OK), os.getuid() != 0)
"""
EXPECTED = "True 1 ['lo'] [] False True"


class Config(LimitsConfig):
    """Run candidates in kernel namespaces made by bubblewrap: no network, none of your files, no other processes."""

    kind: Literal["namespace"] = "namespace"

    def build(self, context: BuildContext) -> SandboxProvider:  # noqa: ARG002
        return SupervisedProvider(NamespaceLauncher(self))


class NamespaceLauncher:
    """Starts supervisors as pid 1 of a bubblewrap sandbox."""

    level: Level = "namespace"
    compiled = True
    probe = PROBE
    expected = EXPECTED

    def __init__(self, limits: LimitsConfig) -> None:
        self.python: tuple[str, ...] = (sys.executable,)
        self._limits = limits

    def check(self) -> None:
        if shutil.which("bwrap") is None:
            raise SandboxUnavailable("bubblewrap is not installed", hint="install it: apt install bubblewrap")
        if os.geteuid() == 0 and shutil.which("setpriv") is None:
            raise SandboxUnavailable(
                "root needs setpriv to leave its rights", hint="install it: apt install util-linux"
            )

    def launch(self) -> ChildCell:
        python_path = str(Path(sys.executable).parent)
        env = environment(WORKDIR, f"{python_path}:/usr/local/bin:/usr/bin:/bin")
        inner = supervisor_argv(self.python, self._limits, watched=True, compiled=self.compiled)
        argv = [*enclosure(self._limits.disk_mb << 20, root=os.geteuid() == 0), *inner]
        return ChildCell(argv, env)

    def describe(self) -> str:
        return (
            "namespace: bubblewrap, no network, no host files; memory is watched (short overshoot possible), "
            "processor cores are not limited, system calls are not filtered"
        )

    def sweep(self) -> int:
        """Nothing is left behind: files live in a tmpfs, and everything ends with its supervisor."""
        return 0

    def close(self) -> None:
        pass


def enclosure(disk_bytes: int, *, root: bool) -> list[str]:
    """The command that turns what follows it into pid 1 of a fresh sandbox."""
    trees = visible_trees()
    bubblewrap = ["bwrap", "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--as-pid-1"]
    if "--disable-userns" in bubblewrap_options():
        bubblewrap.append("--disable-userns")
    sandbox = [
        *bubblewrap,
        *("--cap-drop", "ALL", "--hostname", "sandbox"),
        *("--size", str(disk_bytes), "--tmpfs", "/tmp"),  # before the trees: a Python may live below /tmp
        *trees,
        *("--proc", "/proc", "--dev", "/dev"),
        *("--size", str(SHARED_MEMORY_MB << 20), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"),
        *("--size", str(disk_bytes), "--tmpfs", WORKDIR),
        *("--remount-ro", "/", "--chdir", WORKDIR, "--"),
    ]
    if not root:
        return sandbox
    # A fresh /proc here would be partly covered, and the kernel refuses a whole one below a covered one: bind it.
    stage = ["bwrap", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--die-with-parent", *trees]
    stage += ["--bind", "/proc", "/proc", "--dev-bind", "/dev", "/dev", "--dir", "/tmp", "--"]
    drop = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--inh-caps=-all", "--"]
    return [*stage, *drop, *sandbox]


@functools.cache
def bubblewrap_options() -> str:
    return subprocess.run(["bwrap", "--help"], capture_output=True, text=True, check=False).stdout


@functools.cache
def visible_trees() -> tuple[str, ...]:
    """Options that show the system and this Python, read-only and at their own places."""
    options = ["--dir", "/etc"]  # parents made in passing would be closed to other users
    for path in map(Path, SYSTEM):
        if path.is_symlink():
            options += ["--symlink", str(path.readlink()), str(path)]
        elif path.exists():
            options += ["--ro-bind", str(path), str(path)]
    made: set[Path] = {Path("/"), Path("/usr"), Path("/etc")}
    for path in python_trees((sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)):
        for parent in reversed(path.parents):
            if parent not in made:
                made.add(parent)
                options += ["--dir", str(parent)]
        options += ["--ro-bind", str(path), str(path)]
    return tuple(options)


def python_trees(prefixes: Iterable[str]) -> list[Path]:
    """Installation folders outside the system's and outside each other, under every name they go by."""
    outside: list[Path] = []
    for path in sorted({name for prefix in prefixes for name in (Path(prefix), Path(prefix).resolve())}):
        if not any(path.is_relative_to(tree) for tree in (Path("/usr"), *outside)):
            outside.append(path)
    return outside

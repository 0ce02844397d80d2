"""Who owns a leftover, and whether that process is still alive. Needs /proc."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, told apart from any other that ever had its number, on this machine or another."""

    pid: int
    started: int
    """Clock ticks between boot and the start of the process."""
    pid_namespace: int
    boot: str
    """The beginning of the kernel's boot id."""

    def __str__(self) -> str:
        return f"{self.pid}-{self.started}-{self.pid_namespace}-{self.boot}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None for anything but what `str` of an owner gives."""
        words = text.split("-")
        if len(words) != 4 or not all(word.isdecimal() for word in words[:3]):
            return None
        return cls(int(words[0]), int(words[1]), int(words[2]), words[3])

    @property
    def same_boot(self) -> bool:
        return self.boot == this_process().boot

    @property
    def dead(self) -> bool:
        """Certainly dead. A process of another machine or pid namespace is not ours to judge."""
        here = this_process()
        return self.same_boot and self.pid_namespace == here.pid_namespace and start_of(self.pid) != self.started


def start_of(pid: int) -> int | None:
    """When a process started, in clock ticks after boot; None if it is not there or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def this_process() -> Owner:
    return _owner(os.getpid())


@functools.cache
def _owner(pid: int) -> Owner:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")[:12]
    return Owner(pid, start_of(pid) or 0, Path("/proc/self/ns/pid").stat().st_ino, boot)

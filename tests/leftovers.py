"""Find what a test left running."""

from __future__ import annotations

import os
from pathlib import Path


def left_behind(folder: Path) -> list[str]:
    """Command lines of living processes that mention the folder or work in it."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                works_in = (process / "cwd").readlink()
            except OSError:
                continue
            if str(folder) in command or works_in.is_relative_to(folder):
                found.append(command)
    return found

"""A full disk is told in one way, whichever file met it. Knows nothing of what the files hold."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evolve.errors import DiskFull

_FULL = (errno.ENOSPC, errno.EDQUOT)


def disk_full(path: Path) -> DiskFull:
    """What to raise when there was no room for `path`."""
    return DiskFull(
        f"{path}: no space left; everything recorded before is intact",
        hint="free some space, then go on with `evolve resume`",
    )


@contextmanager
def needs_room(path: Path) -> Iterator[None]:
    """Raise DiskFull where the system says that there is no room for `path`."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise disk_full(path) from None
        raise

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system with room for 256 KiB. Needs the right to mount, which CI has."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        if os.environ.get("EVOLVE_REQUIRE_SANDBOXES") == "1":
            pytest.fail(f"cannot mount a small file system: {done.stderr}")
        pytest.skip(f"cannot mount a small file system: {done.stderr}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)

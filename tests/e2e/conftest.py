from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.commands import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A folder to work in. Fails a test that leaves a process or a sandbox behind."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    place = Place(tmp_path, tmp_path / "runs", scratch)
    yield place
    place.end()
    place.assert_clean()


@pytest.fixture
def engine() -> None:
    """Docker with the sandbox image. Without it, skip; where sandboxes are required, as in CI, fail."""
    look = ["docker", "image", "inspect", "evolve-python:local"]
    try:
        works = subprocess.run(look, capture_output=True, timeout=60, check=False).returncode == 0
    except OSError:
        works = False
    if not works and os.environ.get("EVOLVE_REQUIRE_SANDBOXES") == "1":
        pytest.fail("no Docker engine with the sandbox image")
    if not works:
        pytest.skip("NOT TESTED: no Docker engine with the sandbox image")

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from disks import small_disk as mounted


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Room for 256 KiB."""
    with mounted(tmp_path / "small", kib=256) as folder:
        yield folder

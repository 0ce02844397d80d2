"""Makes the helpers beside the tests importable, and keeps hypothesis calm on a shared machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("evolve.testing.sandbox_contract")  # before any test module imports it

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")

"""Fixtures of the agents' tests."""

from __future__ import annotations

import pytest
from agent.briefs import BRIEFS, PLAN

from evolve.agent.brief import Brief, Plan
from evolve.prompts import Prompts


@pytest.fixture
def prompts() -> Prompts:
    return Prompts()


@pytest.fixture
def briefs() -> dict[str, Brief]:
    return BRIEFS


@pytest.fixture
def plan() -> Plan:
    return PLAN

"""The contract of every sandbox, run over every level there is."""

from __future__ import annotations

import pytest

from evolve.sandbox.base import SandboxProvider
from evolve.testing.sandbox_contract import Check, checks


@pytest.mark.parametrize("check", checks("process"), ids=lambda check: check.__name__)
def test_process(process: SandboxProvider, check: Check) -> None:
    check(process)


@pytest.mark.parametrize("check", checks("namespace"), ids=lambda check: check.__name__)
def test_namespace(namespace: SandboxProvider, check: Check) -> None:
    check(namespace)


@pytest.mark.docker
@pytest.mark.parametrize("check", checks("docker"), ids=lambda check: check.__name__)
def test_docker(docker: SandboxProvider, check: Check) -> None:
    check(docker)

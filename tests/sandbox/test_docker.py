"""What only the Docker level has to do: images, labels, an engine that fails."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from evolve.errors import ImageMissing, SandboxError, SandboxUnavailable
from evolve.sandbox import image
from evolve.sandbox.base import SandboxProvider
from evolve.sandbox.docker import OWNER_LABEL, Config, connect, is_left_over
from evolve.sandbox.owner import this_process
from evolve.testing.sandbox_contract import run

if TYPE_CHECKING:
    from docker import DockerClient

Build = Callable[..., SandboxProvider]


@pytest.fixture
def engine(docker: SandboxProvider) -> Iterator[DockerClient]:
    with contextlib.closing(connect()) as client:
        yield client


def ours(client: DockerClient) -> list[str]:
    """Containers of this test process."""
    found = client.containers.list(all=True, filters={"label": f"{OWNER_LABEL}={this_process()}"})
    return [str(container.id) for container in found]


@pytest.mark.usefixtures("no_engine")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_engine_that_is_not_there_is_no_candidates_fault(build: Build) -> None:
    provider = build("docker")
    for attempt in (provider.prepare, provider.open, provider.sweep):
        with pytest.raises(SandboxUnavailable) as caught:
            attempt()
        assert "docker info" in caught.value.hint
    assert image.main([]) == SandboxUnavailable.exit_code


def test_a_network_cannot_be_asked_for() -> None:
    with pytest.raises(ValidationError):
        Config(network="bridge")  # type: ignore[arg-type]


def test_only_the_dead_and_the_ended_are_left_over() -> None:
    here = str(this_process())
    assert not is_left_over(here, "running")
    assert not is_left_over("1-2-3-elsewhere", "running")
    assert is_left_over("1-2-3-elsewhere", "exited")
    pid, _, namespace, boot = here.split("-")
    assert is_left_over(f"{pid}-1-{namespace}-{boot}", "created")


@pytest.mark.docker
def test_a_missing_image_says_how_to_build_it(engine: DockerClient, build: Build) -> None:
    provider = build("docker", image="evolve-no-such-image:x")
    for attempt in (provider.prepare, provider.open):
        with pytest.raises(ImageMissing) as caught:
            attempt()
        assert "evolve-no-such-image:x" in caught.value.message
    assert ours(engine) == []


@pytest.mark.docker
def test_an_image_without_python_is_the_sandboxs_failure(engine: DockerClient, build: Build) -> None:
    engine.api.import_image_from_data(b"\0" * 1024, "evolve-test-empty", "x", changes=["CMD x"])
    try:
        provider = build("docker", image="evolve-test-empty:x")
        with pytest.raises(SandboxUnavailable):
            provider.prepare()
        assert ours(engine) == []
    finally:
        engine.images.remove("evolve-test-empty:x")


@pytest.mark.docker
def test_a_container_killed_from_outside_is_no_candidates_fault(engine: DockerClient, docker: SandboxProvider) -> None:
    with docker.open() as sandbox:
        talk = sandbox.converse([*sandbox.python, "-uc", "print(1); input()"], timeout_s=60)
        assert talk.receive(9) == b"1"
        (container,) = ours(engine)
        engine.api.kill(container)
        with pytest.raises(SandboxUnavailable):
            talk.receive(9)
    assert ours(engine) == []


@pytest.mark.docker
def test_nothing_the_program_does_lets_it_take_the_supervisor_along(docker: SandboxProvider) -> None:
    source = """
import os
open('/proc/self/oom_score_adj', 'w').write('0')
kept = []
while True: kept.append(b'x' * (1 << 20))
"""
    with docker.open() as sandbox:
        assert run(sandbox, source).status == "out_of_memory"
        assert run(sandbox, "print(1)").status in ("exited", "out_of_memory")


@pytest.mark.docker
def test_sweep_removes_the_containers_of_the_dead(engine: DockerClient, docker: SandboxProvider) -> None:
    pid, _, namespace, boot = str(this_process()).split("-")
    dead = engine.containers.create("evolve-python:local", labels={OWNER_LABEL: f"{pid}-1-{namespace}-{boot}"})
    with docker.open() as sandbox:
        assert docker.sweep() >= 1
        assert run(sandbox, "print(1)").stdout == "1\n"
    assert dead.id not in [one.id for one in engine.containers.list(all=True)]


@pytest.mark.docker
@pytest.mark.slow
def test_the_image_is_built_from_this_machine_alone(engine: DockerClient) -> None:
    built = image.build(engine, "evolve-test-build:x", ["numpy"])
    assert image.build(engine, "evolve-test-build:x", []) != built
    engine.images.remove("evolve-test-build:x")
    assert built not in [one.id for one in engine.images.list(all=True)]


@pytest.mark.docker
def test_a_package_that_is_not_here_cannot_go_in(engine: DockerClient) -> None:
    with pytest.raises(SandboxError) as caught:
        image.build(engine, "evolve-test-build:y", ["no-such-distribution"])
    assert "no-such-distribution" in caught.value.message

"""The strongest level that works, and never less than asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from evolve.errors import SandboxUnavailable
from evolve.plugins import BuildContext
from evolve.sandbox.auto import AutoProvider, Config, strong_enough
from evolve.sandbox.base import LEVELS, Level, Sandbox, SandboxProvider

Build = Callable[..., SandboxProvider]


class FakeProvider:
    """A provider that works or does not, and remembers what was asked of it."""

    def __init__(self, level: Level, *, works: bool) -> None:
        self.level: Level = level
        self.works = works
        self.calls: list[str] = []

    def prepare(self) -> None:
        self.calls.append("prepare")
        if not self.works:
            raise SandboxUnavailable(f"{self.level} is broken", hint=f"mend {self.level}")

    def describe(self) -> str:
        return f"{self.level}: fake"

    def open(self) -> Sandbox:
        self.calls.append("open")
        raise NotImplementedError

    def sweep(self) -> int:
        return 7

    def close(self) -> None:
        self.calls.append("close")


def test_the_first_that_works_is_taken_and_the_others_are_not_tried() -> None:
    docker, namespace, process = (
        FakeProvider("docker", works=False),
        FakeProvider("namespace", works=True),
        FakeProvider("process", works=True),
    )
    provider = AutoProvider([docker, namespace, process], "process")
    provider.prepare()
    provider.prepare()
    assert provider.level == "namespace"
    assert provider.sweep() == 7
    with pytest.raises(NotImplementedError):
        provider.open()
    provider.close()
    assert docker.calls == ["prepare", "close"]
    assert namespace.calls == ["prepare", "open", "close"]
    assert process.calls == []


def test_one_line_says_what_was_chosen_and_why_not_better() -> None:
    provider = AutoProvider([FakeProvider("docker", works=False), FakeProvider("namespace", works=True)], "landlock")
    assert provider.describe() == ("namespace: fake; stronger ones do not work here: docker: docker is broken")
    assert AutoProvider([FakeProvider("docker", works=True)], "docker").describe() == "docker: fake"


def test_nothing_strong_enough_is_a_refusal_with_every_reason() -> None:
    broken = [FakeProvider("docker", works=False), FakeProvider("namespace", works=False)]
    provider = AutoProvider(broken, "landlock")
    for attempt in (provider.prepare, provider.open):
        with pytest.raises(SandboxUnavailable) as caught:
            attempt()
        assert "landlock or stronger" in caught.value.message
        for words in ("mend docker", "mend namespace", "minimum: process"):
            assert words in caught.value.hint
    provider.close()
    hint = refusal([FakeProvider("process", works=False)], "process")
    assert "minimum: process" not in hint


def refusal(candidates: list[FakeProvider], minimum: Level) -> str:
    with pytest.raises(SandboxUnavailable) as caught:
        AutoProvider(candidates, minimum).prepare()
    return caught.value.hint


@pytest.mark.parametrize("minimum", LEVELS)
def test_weaker_levels_are_not_even_candidates(minimum: Level) -> None:
    assert [level for level in LEVELS if strong_enough(level, minimum)] == list(LEVELS[: LEVELS.index(minimum) + 1])


def test_process_is_taken_only_when_named() -> None:
    assert Config().minimum == "landlock"
    with pytest.raises(ValidationError):
        Config(minimum="none")  # type: ignore[arg-type]


@pytest.mark.usefixtures("no_engine")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_unreachable_engine_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, build: Build) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no bubblewrap either
    provider = build("auto", minimum="process")
    provider.prepare()
    assert provider.level == "process"
    said = provider.describe()
    assert "docker:" in said
    assert "bubblewrap is not installed" in said
    provider.close()
    with pytest.raises(SandboxUnavailable):
        Config().build(BuildContext(tmp_path)).prepare()

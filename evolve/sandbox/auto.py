"""Level by choice: the strongest one that a probe program shows to work here, and never a weaker one than asked for."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Literal

from evolve.errors import SandboxError, SandboxUnavailable
from evolve.plugins import BuildContext
from evolve.sandbox import docker, namespace, process
from evolve.sandbox.base import LEVELS, Level, LimitsConfig, Sandbox, SandboxProvider
from evolve.sandbox.docker import TAG


class Config(LimitsConfig):
    """Run candidates in the strongest sandbox that works here."""

    kind: Literal["auto"] = "auto"
    minimum: Level = "landlock"
    """Weakest level to accept; `process` protects nothing but the machine's order, and is taken only when named here."""
    image: str = TAG
    """Image for level `docker`."""

    def build(self, context: BuildContext) -> SandboxProvider:
        limits = self.model_dump(include=set(LimitsConfig.model_fields) - {"kind"})
        every: list[SandboxProvider] = [
            docker.Config(image=self.image, **limits).build(context),
            namespace.Config(**limits).build(context),
            process.Config(**limits).build(context),
        ]
        return AutoProvider([one for one in every if strong_enough(one.level, self.minimum)], self.minimum)


def strong_enough(level: Level, minimum: Level) -> bool:
    return LEVELS.index(level) <= LEVELS.index(minimum)


class AutoProvider:
    """Stands for the first provider whose `prepare` succeeds."""

    def __init__(self, candidates: Sequence[SandboxProvider], minimum: Level) -> None:
        """`candidates`: strongest first, none weaker than `minimum`."""
        self.level: Level = minimum
        """The level chosen; until then, the weakest that may be."""
        self._candidates = candidates
        self._minimum = minimum
        self._deciding = threading.Lock()
        self._chosen: SandboxProvider | None = None
        self._refusals: dict[Level, SandboxError] = {}

    def prepare(self) -> None:
        self._decide()

    def _decide(self) -> SandboxProvider:
        with self._deciding:
            if self._chosen is None:
                self._chosen = self._strongest()
                self.level = self._chosen.level
            return self._chosen

    def _strongest(self) -> SandboxProvider:
        self._refusals = {}
        for provider in self._candidates:
            try:
                provider.prepare()
            except SandboxError as error:
                self._refusals[provider.level] = error
                provider.close()
            else:
                return provider
        raise SandboxUnavailable(
            f"no sandbox of level {self._minimum} or stronger works here", hint=self._advice(self._minimum)
        )

    def describe(self) -> str:
        chosen = self._decide().describe()
        if not self._refusals:
            return chosen
        said = "; ".join(f"{level}: {error.message}" for level, error in self._refusals.items())
        return f"{chosen}; stronger ones do not work here: {said}"

    def open(self) -> Sandbox:
        return self._decide().open()

    def sweep(self) -> int:
        return self._decide().sweep()

    def close(self) -> None:
        if self._chosen is not None:
            self._chosen.close()

    def _advice(self, minimum: Level) -> str:
        said = "; ".join(f"{level}: {error.message} ({error.hint})" for level, error in self._refusals.items())
        unsafe = (
            "" if minimum == "process" else "; or, for programs you would run yourself, set sandbox.minimum: process"
        )
        return f"{said}{unsafe}"

"""Remember nothing: the control every other policy is compared with."""

from __future__ import annotations

from typing import Literal

from evolve.events import Experience
from evolve.memory.base import MemoryPolicy, Query
from evolve.plugins import BuildContext, PluginConfig


class Config(PluginConfig):
    """No experience reaches a prompt."""

    kind: Literal["none"] = "none"

    def build(self, context: BuildContext) -> MemoryPolicy:  # noqa: ARG002
        return Nothing()


class Nothing:
    def observe(self, experience: Experience) -> None:
        pass

    def recall(self, query: Query) -> tuple[str, ...]:  # noqa: ARG002
        return ()

    def experience(self, node_id: str) -> Experience:
        raise KeyError(node_id)

"""Who takes part: search settings by name, as a job file has them, and the memory that goes with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evolve.config import SearchSettings
from evolve.plugins import config_class


@dataclass(frozen=True, slots=True)
class Entrant:
    """A search policy with its settings, as `search:` in a job file has them."""

    search: Mapping[str, Any]
    memory: str = "fixes"
    """What a repair is told of earlier repairs; the published systems remember none."""
    gains: bool = True
    """Whether authors are told how much each attempt gained over the program it was made from; the published systems
    tell its score alone."""
    baseline: bool = False
    """Whether it is a published system as that is, for ours to be compared with."""

    def settings(self) -> SearchSettings:
        """Raises ValueError when there is no such policy, or not with these settings."""
        found = config_class("search", self.search["kind"]).model_validate(dict(self.search))
        assert isinstance(found, SearchSettings)
        return found


def _ours(memory: str = "fixes", **settings: Any) -> Entrant:
    return Entrant({"kind": "mcgs", **settings}, memory)


def _peer(kind: str, **settings: Any) -> Entrant:
    return Entrant({"kind": kind, **settings}, memory="none", gains=False, baseline=True)


OURS = "ours"
WITHOUT_REFERENCES = ["draft", "improve", "debug"]
ENTRANTS: dict[str, Entrant] = {
    OURS: _ours(),
    "greedy (AIDE)": _peer("greedy"),
    "MCTS": _peer("mcts"),
    "islands (OpenEvolve)": _peer("islands"),
    "best of n": _peer("best_of_n"),
    "greedy + our memory": Entrant({"kind": "greedy"}),
    "MCTS + our memory": Entrant({"kind": "mcts"}),
    "ours, no references": _ours(operators=WITHOUT_REFERENCES),
    # Ideas cross as often, but at any time and not where a branch stands still; nothing is rethought or aggregated.
    "ours, no stagnation handling": _ours(
        operators=[*WITHOUT_REFERENCES, {"kind": "fuse", "weight_elsewhere": 0.3, "from_progress": 0.0}],
        branch_patience=1_000_000,
        branch_patience_exploiting=1_000_000,
    ),
    "ours, no schedule": _ours(explore_min=1.0, exploration_min=2**0.5),
    "ours, no memory": _ours(memory="none"),
    "ours, entropy schedule": _ours(schedule="entropy"),
    "ours, reward branch_best": _ours(reward="branch_best"),
    "ours, reward rank": _ours(reward="rank"),
    "ours, reference credit": _ours(reference_credit=0.3),
    "ours, 3 drafts first": _ours(drafts_first=3),
    "ours, 5 drafts first": _ours(drafts_first=5),
}
"""Ours, the peers and two of them with our memory, then ours with one thing changed at a time."""

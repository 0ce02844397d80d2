"""Who takes part: search settings by name, as a job file has them, and the memory that goes with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from evolve.config import SearchSettings
from evolve.plugins import config_class

Told = Literal["scores", "gains", "all"]


@dataclass(frozen=True, slots=True)
class Entrant:
    """A search policy with its settings, as `search:` in a job file has them."""

    search: Mapping[str, Any]
    memory: str = "fixes"
    """What a repair is told of earlier repairs; the published systems remember none."""
    told: Told = "all"
    """What authors hear of attempts: titles and scores (`scores`, as AIDE), also what each gained over the program it was
    made from (`gains`, as OpenEvolve), or besides that the way a branch came, and that a plan was tried (`all`, as this
    project's agents)."""
    baseline: bool = False
    """Whether it is a published system as that is, for ours to be compared with."""

    def settings(self) -> SearchSettings:
        """Raises ValueError when there is no such policy, or not with these settings."""
        found = config_class("search", self.search["kind"]).model_validate(dict(self.search))
        assert isinstance(found, SearchSettings)
        return found


def _ours(memory: str = "fixes", **settings: Any) -> Entrant:
    return Entrant({"kind": "mcgs", **settings}, memory)


def _peer(kind: str, told: Told = "scores") -> Entrant:
    return Entrant({"kind": kind}, "none", told, baseline=True)


OURS = "ours"
WITHOUT_REFERENCES = ["draft", "improve", "debug"]
PUBLISHED: dict[str, Any] = {
    "operators": [
        "draft",
        {"kind": "improve", "siblings": 8, "attempts": 0, "when_stagnant": 0},
        "debug",
        "evolve",
        "fuse",
        "aggregate",
    ],
    "drafts_first": 1,
    "exploit_from": 0.5,
    "exploit_settled": 0.7,
    "explore_min": 0.2,
    "elite": 5,
    "elite_per_branch": 3,
    "elite_late": 3,
    "elite_per_branch_late": 2,
    "improves_exploiting": 10,
    "repair_chance": 0.0,
    "patience": 3,
}
ENTRANTS: dict[str, Entrant] = {
    OURS: _ours(),
    "greedy (AIDE)": _peer("greedy"),
    "MCTS": _peer("mcts"),
    "islands (OpenEvolve)": _peer("islands", "gains"),
    "best of n": _peer("best_of_n"),
    "greedy + our agents and memory": Entrant({"kind": "greedy"}),
    "MCTS + our agents and memory": Entrant({"kind": "mcts"}),
    "ours, no references": _ours(operators=WITHOUT_REFERENCES),
    "ours, no stagnation handling": _ours(patience=1_000_000),
    "ours, no exploitation": _ours(explore_min=1.0),
    "ours, published schedule": _ours(**PUBLISHED),
    "ours, entropy schedule": _ours(schedule="entropy"),
    "ours, no memory": _ours(memory="none"),
    "ours, told scores only": Entrant({"kind": "mcgs"}, told="scores"),
    "ours, reward branch_best": _ours(reward="branch_best"),
    "ours, reference credit": _ours(reference_credit=0.3),
    "ours, no repairs first": _ours(repair_chance=0.0),
    "ours, fuse anywhere": _ours(
        operators=[*WITHOUT_REFERENCES, {"kind": "fuse", "weight_elsewhere": 0.3, "from_progress": 0.0}]
    ),
    "ours, own branch only": _ours(
        operators=["draft", {"kind": "improve", "attempts": 0}, "debug", "evolve", "fuse", "aggregate"]
    ),
    "ours, 1 draft first": _ours(drafts_first=1),
    "ours, never explore": _ours(explore_min=0.0),
}
"""Ours, the peers and two of them with our agents, then ours with one thing changed at a time."""

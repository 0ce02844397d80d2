"""What the policies that walk the graph as a tree can be told."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from evolve.config import SearchSettings


class TreeSettings(SearchSettings):
    """Widening, schedule and reward of a tree search."""

    reward: Literal["rank", "branch_best"] = "rank"
    """`rank`: -1 for a failure, else the quantile of the score among all valid ones, plus 1 for a new best of its branch. `branch_best`: -1, +1, or +2 for a new best of its branch (arXiv 2606.06473)."""
    drafts: int = Field(default=5, ge=1)
    """Branches opened at the root, the given programs' included."""
    drafts_first: int = Field(default=5, ge=1)
    """So many of them are opened at once, before any branch grows."""
    improves: int = Field(default=3, ge=1)
    """Children a valid node may get while exploring."""
    improves_exploiting: int = Field(default=100, ge=1)
    """Children a valid node may get in all."""
    debug_depth: int = Field(default=3, ge=0)
    """Repairs in a row before a failed line is given up."""
    widening_factor: float = Field(default=1.0, gt=0)
    """k0 of progressive widening: a node may have fewer than ceil(k0 * N^alpha) children (Coulom 2007)."""
    widening_exponent: float = Field(default=0.5, gt=0, le=1)
    """alpha of progressive widening."""
    schedule: Literal["piecewise", "entropy"] = "piecewise"
    """`piecewise`: exploration falls with progress by the numbers below. `entropy`: it is set so that the effective number of branches follows a target that falls from all branches to `branches_late`."""
    branches_late: float = Field(default=1.5, ge=1)
    """Effective number of branches that the entropy schedule aims at in the end."""
    exploration: float = Field(default=1.4142135623730951, ge=0)
    """UCT's exploration constant until `exploration_until` (Kocsis & Szepesvari 2006)."""
    exploration_min: float = Field(default=0.5, ge=0)
    """UCT's exploration constant from `exploration_settled` on."""
    exploration_until: float = Field(default=0.3, ge=0, le=1)
    """Progress (0 to 1) at which the constant starts to fall."""
    exploration_settled: float = Field(default=0.7, ge=0, le=1)
    """Progress at which it has fallen to its minimum."""
    exploit_from: float = Field(default=0.0, ge=0, le=1)
    """Progress at which some expansions start to go straight to the best nodes."""
    exploit_settled: float = Field(default=0.0, ge=0, le=1)
    """Progress at which the share of exploration has fallen to `explore_min`."""
    explore_min: float = Field(default=0.05, ge=0, le=1)
    """Share of expansions that still explore from `exploit_settled` on."""
    repair_chance: float = Field(default=0.6, ge=0, le=1)
    """Chance that a failed child of the node chosen to be exploited is repaired, where there is one, before another is grown."""
    elite: int = Field(default=1, ge=1)
    """How many of the best nodes are candidates for exploitation before `exploit_settled`."""
    elite_per_branch: int = Field(default=1, ge=1)
    """At most so many of them from one branch."""
    elite_late: int = Field(default=1, ge=1)
    """`elite` from `exploit_settled` on."""
    elite_per_branch_late: int = Field(default=1, ge=1)
    """`elite_per_branch` from `exploit_settled` on."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.exploration_settled < self.exploration_until:
            raise ValueError("exploration_settled must not be below exploration_until")
        if self.exploit_settled < self.exploit_from:
            raise ValueError("exploit_settled must not be below exploit_from")
        return self

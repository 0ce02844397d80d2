"""Plain Monte Carlo tree search, the control for everything that `mcgs` adds: a UCT walk (Kocsis & Szepesvari 2006) with
progressive widening (Coulom 2007) and virtual loss (Chaslot et al. 2008).

It is `mcgs` with an empty E_R: only draft, improve and debug, so that no author reads a reference; exploration that never
falls; no node drawn past the tree for its score; nothing done about standing still.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from evolve.config import SearchSettings
from evolve.operators import debug, draft, improve
from evolve.plugins import BuildContext
from evolve.search.base import Policy
from evolve.search.policies import mcgs


class Config(SearchSettings):
    """Plain Monte Carlo tree search: UCT with progressive widening, without references, schedule or stagnation."""

    kind: Literal["mcts"] = "mcts"
    reward: Literal["rank", "branch_best"] = "rank"
    """`rank`: -1 for a failure, else the quantile of the score among all valid ones, plus 1 for a new best of its branch. `branch_best`: -1, +1, or +2 for a new best of its branch (arXiv 2606.06473)."""
    drafts: int = Field(default=5, ge=1)
    """Branches opened at the root, the given programs' included."""
    drafts_first: int = Field(default=1, ge=1)
    """So many of them are opened at once, before any branch grows."""
    improves: int = Field(default=3, ge=1)
    """Children a valid node may get."""
    debug_depth: int = Field(default=3, ge=0)
    """Repairs in a row before a failed line is given up."""
    widening_factor: float = Field(default=1.0, gt=0)
    """k0 of progressive widening: a node may have fewer than ceil(k0 * N^alpha) children (Coulom 2007)."""
    widening_exponent: float = Field(default=0.5, gt=0, le=1)
    """alpha of progressive widening."""
    exploration: float = Field(default=1.4142135623730951, ge=0)
    """UCT's exploration constant, the same from start to end."""

    def build(self, context: BuildContext) -> Policy:
        shared = self.model_dump(exclude={"kind"})
        plain = mcgs.Config(
            **shared,
            operators=[draft.Config(), improve.Config(), debug.Config()],
            improves_exploiting=self.improves,
            schedule="piecewise",
            exploration_min=self.exploration,
            explore_min=1.0,
        )
        return plain.build(context)

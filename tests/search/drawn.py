"""Settings of every search policy, drawn small enough that a short run meets every limit."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from evolve.config import SearchSettings
from evolve.operators import aggregate, debug, draft, evolve, fuse, improve
from evolve.plugins import PluginConfig
from evolve.search.policies import best_of_n, greedy, islands, mcgs, mcts

EAGER: list[PluginConfig] = [
    draft.Config(),
    improve.Config(when_stagnant=0.2),
    debug.Config(),
    evolve.Config(steps=2),
    fuse.Config(from_progress=0.0, weight_elsewhere=0.3),
    aggregate.Config(sources=2, trajectory=2),
]
"""All six operators, set to fire often."""
OPERATORS: list[list[PluginConfig]] = [
    EAGER,
    [draft.Config(), improve.Config(), debug.Config(), evolve.Config(), fuse.Config(), aggregate.Config()],
    [draft.Config(), fuse.Config()],
    [draft.Config(), debug.Config(), aggregate.Config()],
    [draft.Config()],
]
PUBLISHED: dict[str, Any] = {
    "drafts_first": 1,
    "improves_exploiting": 10,
    "exploit_from": 0.5,
    "exploit_settled": 0.7,
    "explore_min": 0.2,
    "repair_chance": 0.0,
    "elite": 5,
    "elite_per_branch": 3,
    "elite_late": 3,
    "elite_per_branch_late": 2,
}
"""Widths and shares of arXiv 2606.06473, for cases that must not change with the defaults."""

_reward = st.sampled_from(["rank", "branch_best"])
_min_gain = st.sampled_from([0.0, 0.0, 0.4])
_widening = st.sampled_from([0.3, 1.0, 2.5])

DRAWN: dict[str, st.SearchStrategy[SearchSettings]] = {
    "mcgs": st.builds(
        mcgs.Config,
        operators=st.sampled_from(OPERATORS),
        min_gain=_min_gain,
        reward=_reward,
        drafts=st.integers(1, 4),
        drafts_first=st.integers(1, 5),
        improves=st.integers(1, 3),
        improves_exploiting=st.integers(1, 4),
        debug_depth=st.integers(0, 3),
        widening_factor=_widening,
        schedule=st.sampled_from(["piecewise", "entropy"]),
        exploit_from=st.sampled_from([0.0, 0.5]),
        exploit_settled=st.sampled_from([0.5, 0.7]),
        explore_min=st.sampled_from([0.0, 0.2]),
        repair_chance=st.sampled_from([0.0, 0.6]),
        elite=st.integers(1, 5),
        elite_per_branch=st.integers(1, 3),
        reference_credit=st.sampled_from([0.0, 0.3, 1.0]),
        patience=st.integers(1, 4),
        aggregations=st.integers(0, 3),
    ),
    "mcts": st.builds(
        mcts.Config,
        min_gain=_min_gain,
        reward=_reward,
        drafts=st.integers(1, 4),
        improves=st.integers(1, 3),
        debug_depth=st.integers(0, 3),
        widening_factor=_widening,
    ),
    "greedy": st.builds(
        greedy.Config,
        min_gain=_min_gain,
        drafts=st.integers(1, 5),
        debug_chance=st.sampled_from([0.0, 0.5, 1.0]),
        debug_depth=st.integers(0, 3),
        memory=st.integers(0, 5),
    ),
    "islands": st.builds(
        islands.Config,
        min_gain=_min_gain,
        islands=st.integers(1, 4),
        population=st.integers(2, 6),
        archive=st.integers(1, 4),
        features=st.sampled_from([["size"], ["size", "touched"], ["feature", "size"], ["absent"]]),
        bins=st.integers(1, 5),
        exploration=st.sampled_from([0.0, 0.2, 0.4]),
        exploitation=st.sampled_from([0.0, 0.6]),
        top=st.integers(0, 3),
        others=st.integers(0, 3),
        migration_interval=st.integers(1, 6),
        migration_rate=st.sampled_from([0.1, 1.0]),
    ),
    "best_of_n": st.builds(best_of_n.Config, min_gain=_min_gain),
}
KINDS = sorted(DRAWN)
EVERY = st.one_of(*DRAWN.values())

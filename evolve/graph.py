"""The search graph: facts that never change, and the statistics folded from them.

Primary edges (E_T) form a tree from the virtual root and carry credit; reference edges (E_R) say which other
solutions a node's author had read. Knows nothing of prompts, programs or files.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, assert_never

if TYPE_CHECKING:
    import networkx as nx

    from evolve.events import Event

ROOT_ID = "n0"

Direction = Literal["maximize", "minimize"]
Status = Literal["scored", "crashed", "timed_out", "out_of_memory", "invalid", "duplicate", "no_code"]
DEBUGGABLE: frozenset[Status] = frozenset({"crashed", "timed_out", "out_of_memory", "invalid"})
"""Failures that left a program worth repairing; a duplicate is not broken and `no_code` has nothing to repair."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a node's language-model calls used."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    money_usd: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.money_usd + other.money_usd,
        )

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference edge's source and what it was read for, e.g. `trajectory` or `fusion`."""

    node_id: str
    role: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One decision of the selection walk: the terms of `value = mean + exploration` as they stood then."""

    node_id: str
    visits: int
    mean: float
    exploration: float
    rivals: int
    """How many other children could have been taken."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Why this parent: kept in the journal so that a decision can be explained long after."""

    policy: Literal["initial", "explore", "exploit", "forced"]
    """`forced`: nothing could grow, so a new draft was opened to keep the search alive."""
    progress: float
    exploration_constant: float
    explore_chance: float
    path: tuple[Choice, ...] = ()
    """The last choices of the walk, root side first; long walks keep only their end."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """A decision taken, work not finished. A node that comes of it carries the same id."""

    id: str
    step: int
    operator: str
    parent_id: str
    branch_id: str
    selection: Selection
    references: tuple[Reference, ...] = ()
    shown: tuple[str, ...] = ()
    """Ids of the attempts described, without code, to the strategist."""
    recalled: tuple[str, ...] = ()
    """Ids of the experiences that memory recalled."""
    best_id: str | None = None
    """The best node when this was decided; kept so that a repeated rollout words the same prompts."""


@dataclass(frozen=True, slots=True)
class Node:
    """A judged solution. Facts only: what the search thinks of it is in `Stats`."""

    id: str
    step: int
    branch_id: str
    """Id of the draft this node descends from; a draft is its own branch."""
    operator: str
    parent_id: str
    depth: int
    status: Status
    score: float | None
    title: str
    """The plan's hypothesis in one line."""
    candidate_ref: str | None = None
    evaluation_ref: str | None = None
    fingerprint: str | None = None
    """Digest of the normalised program; equal fingerprints mean the same program."""
    twin_id: str | None = None
    """For a duplicate: the node that is the same program."""
    error_signature: str | None = None
    mode: str | None = None
    """How the coder wrote it: `whole`, `diff` or, for a given program, none."""
    reasks: int = 0
    """Replies that had to be asked for again."""
    level: str | None = None
    """Sandbox level that ran it."""
    isolated: bool = True
    """False where the program could have forged its own score."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)

    @property
    def valid(self) -> bool:
        return self.status == "scored"


@dataclass(slots=True)
class Stats:
    """Search statistics of one node; rebuilt by folding, never stored."""

    visits: int = 0
    """Finished rollouts in the subtree, the node's own included."""
    value_sum: float = 0.0
    in_flight: int = 0
    """Started rollouts in the subtree: the virtual loss."""
    above: Stats | None = field(default=None, repr=False, compare=False)
    """The parent's statistics; None at the root. Backing up follows these."""

    @property
    def total(self) -> int:
        return self.visits + self.in_flight

    @property
    def mean(self) -> float:
        return self.value_sum / self.visits if self.visits else 0.0


class SearchGraph:
    """A fold over events. `apply` is its only mutator and costs O(depth)."""

    def __init__(self) -> None:
        import networkx as nx  # half of a command's start, for commands that need no graph

        self.direction: Direction = "maximize"
        self.seed = 0
        self.started = False
        self.steps = 0
        """Expansions ever started; the next one gets this number plus one."""
        self.nodes: dict[str, Node] = {}
        """Judged nodes in the order they were judged; the virtual root is not among them."""
        self.pending: dict[str, Expansion] = {}
        """Expansions in flight, oldest first."""
        self.expansions: dict[str, Expansion] = {}
        """The decision behind every node."""
        self.best: Node | None = None
        self.branch_best: dict[str, Node] = {}
        self.cost = Cost()
        """What everything settled has cost: nodes and abandoned expansions, but not those in flight."""
        self.rewards: dict[str, float] = {}
        self.by_fingerprint: dict[str, str] = {}
        self._stats: dict[str, Stats] = {ROOT_ID: Stats()}
        self._children: dict[str, list[str]] = {ROOT_ID: []}
        self._pending_children: dict[str, int] = {}
        self._utilities: list[float] = []
        self.edges: nx.MultiDiGraph[str] = nx.MultiDiGraph()
        self.edges.add_node(ROOT_ID)

    @classmethod
    def fold(cls, events: Iterable[Event]) -> SearchGraph:
        graph = cls()
        for event in events:
            graph.apply(event)
        return graph

    def apply(self, event: Event) -> None:
        match event.kind:
            case "run_started":
                self.direction, self.seed, self.started = event.direction, event.seed, True
            case "expansion_started":
                self._start(event.expansion)
            case "expansion_abandoned":
                self._end(self.pending.pop(event.expansion_id))
                self.cost += event.cost
            case "node_added":
                self._add(event.node)
            case "reward_backpropagated":
                self._backpropagate(event.node_id, event.reward)
            case "experience_recorded":
                pass
            case _:
                assert_never(event)

    def stats(self, node_id: str) -> Stats:
        return self._stats[node_id]

    def children(self, node_id: str) -> list[str]:
        """Judged children, oldest first."""
        return self._children[node_id]

    def width(self, node_id: str) -> int:
        """Children, those in flight included."""
        return len(self._children[node_id]) + self._pending_children.get(node_id, 0)

    def lineage(self, node_id: str) -> Iterator[str]:
        """The node, its parent, ... and the virtual root."""
        while node_id != ROOT_ID:
            yield node_id
            node_id = self.nodes[node_id].parent_id
        yield ROOT_ID

    def utility(self, score: float) -> float:
        """The score turned so that more is better."""
        return score if self.direction == "maximize" else -score

    def quantile(self, score: float) -> float:
        """Share of the valid scores so far that `score` is at least as good as, ties counted half; 0.5 among none."""
        if not self._utilities:
            return 0.5
        utility = self.utility(score)
        below = bisect_left(self._utilities, utility)
        ties = bisect_right(self._utilities, utility) - below
        return (below + ties / 2) / len(self._utilities)

    def beats(self, score: float, incumbent: Node | None, min_gain: float = 0.0) -> bool:
        """Whether `score` improves on the incumbent by more than `min_gain`; anything valid beats nothing."""
        if incumbent is None or incumbent.score is None:
            return True
        return self.utility(score) - self.utility(incumbent.score) > min_gain

    def _start(self, expansion: Expansion) -> None:
        self.steps = max(self.steps, expansion.step)
        self.pending[expansion.id] = expansion
        parent = expansion.parent_id
        self._pending_children[parent] = self._pending_children.get(parent, 0) + 1
        stats: Stats | None = self._stats[parent]
        while stats is not None:
            stats.in_flight += 1
            stats = stats.above

    def _end(self, expansion: Expansion) -> None:
        parent = expansion.parent_id
        left = self._pending_children.pop(parent) - 1
        if left:
            self._pending_children[parent] = left
        stats: Stats | None = self._stats[parent]
        while stats is not None:
            stats.in_flight -= 1
            stats = stats.above

    def _add(self, node: Node) -> None:
        expansion = self.pending.pop(node.id)
        self._end(expansion)
        self.expansions[node.id] = expansion
        self.nodes[node.id] = node
        self._stats[node.id] = Stats(above=self._stats[node.parent_id])
        self._children[node.id] = []
        self._children[node.parent_id].append(node.id)
        self.edges.add_edge(node.parent_id, node.id, kind="primary", role=node.operator)
        for reference in expansion.references:
            self.edges.add_edge(reference.node_id, node.id, kind="reference", role=reference.role)
        if node.fingerprint is not None and node.status != "duplicate":
            self.by_fingerprint.setdefault(node.fingerprint, node.id)
        self.cost += node.cost
        if node.score is not None and node.valid:
            insort(self._utilities, self.utility(node.score))
            if self.beats(node.score, self.best):
                self.best = node
            if self.beats(node.score, self.branch_best.get(node.branch_id)):
                self.branch_best[node.branch_id] = node

    def _backpropagate(self, node_id: str, reward: float) -> None:
        self.rewards[node_id] = reward
        stats: Stats | None = self._stats[node_id]
        while stats is not None:
            stats.visits += 1
            stats.value_sum += reward
            stats = stats.above


def is_score(value: Any) -> bool:
    """Whether a grader's value can be a score: a finite real number, and not a truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

"""The search graph: facts that never change, and the statistics folded from them.

Primary edges (E_T) form a tree from the virtual root and carry credit; reference edges (E_R) say which other
solutions a node's author had read. Knows nothing of prompts, programs or files.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, assert_never

from evolve.pareto import Fronts, Point, dominates

if TYPE_CHECKING:
    import networkx as nx

    from evolve.events import Event

ROOT_ID = "n0"

Direction = Literal["maximize", "minimize"]
Status = Literal["scored", "crashed", "timed_out", "out_of_memory", "invalid", "duplicate", "no_code"]
DEBUGGABLE: frozenset[Status] = frozenset({"crashed", "timed_out", "out_of_memory", "invalid"})
"""Failures that left a program worth repairing; a duplicate is not broken and `no_code` has nothing to repair."""
WINDOW = 20
"""Over so many of the latest expansions the effective number of branches is taken."""


@dataclass(frozen=True, slots=True)
class Objective:
    """One of several aims of a task: a metric and the direction in which it is better."""

    name: str
    direction: Direction


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

    policy: str
    """What decided: `given` (a program to start from), `explore`, `exploit`, `stagnant` (the whole search stood still),
    `forced` (nothing could grow, so a new draft keeps the search alive), or a word of another search policy's own."""
    progress: float
    exploration_constant: float = 0.0
    explore_chance: float = 1.0
    path: tuple[Choice, ...] = ()
    """The last choices of the walk, root side first; long walks keep only their end."""
    branches: float = 0.0
    """exp(H), the effective number of branches among the latest expansions (arXiv 2606.06473)."""


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
    beside: tuple[str, ...] = ()
    """Ids of drafts in flight whose plans a new draft waits for, so that it can differ from them."""
    given: int | None = None
    """Which of the given programs this expansion judges; none where an author writes one."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Model to ask first, by role, where several are configured."""
    recalled: tuple[str, ...] = ()
    """Ids of the experiences that memory recalled."""
    best_id: str | None = None
    """The best node when this was decided; kept so that a repeated rollout words the same prompts."""
    noise: float | None = None
    """Standard deviation of one evaluation as measured when this was decided."""


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
    """How the coder wrote it: `whole`, `stepwise`, `diff` or, for a given program, none."""
    reasks: int = 0
    """Replies that had to be asked for again."""
    level: str | None = None
    """Sandbox level that ran it."""
    isolated: bool = True
    """False where the program could have forged its own score."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)
    evaluations: int = 1
    """How often it was evaluated; the score is their mean."""
    error: float | None = None
    """Standard error of the score, where it was evaluated more than once."""
    gain: float | None = None
    """Change of the score against the parent, more is better; none where either has no score."""
    predicted_gain: float | None = None
    """What the plan expected of it."""
    suspicion: str | None = None
    """Why the score was too good to be taken on trust; it was reproduced, or the node is not valid."""
    size: int = 0
    """Characters of the program."""
    touched: tuple[str, ...] = ()
    """Names of the functions, classes and constants that are not as in the task's initial program, sorted."""

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


class Ranking:
    """Which nodes are the best, and what counts as better than what. Knows neither edges nor visits."""

    def __init__(self) -> None:
        self.direction: Direction = "maximize"
        self.objectives: tuple[Objective, ...] = ()
        self.best: Node | None = None
        self.branch_best: dict[str, Node] = {}
        self.fronts = Fronts()
        """Pareto fronts of the valid nodes; empty for a task with a single score."""
        self._ranked: dict[str, Node] = {}
        self._utilities: list[float] = []
        self._squares, self._freedom = 0.0, 0
        """Sum of squared deviations of repeated evaluations from their means, and its degrees of freedom."""

    def rank(self, node: Node) -> None:
        """Take in a judged node; only a valid one counts."""
        if node.score is None or not node.valid:
            return
        if node.error is not None and node.evaluations > 1:
            self._squares += node.error**2 * node.evaluations * (node.evaluations - 1)
            self._freedom += node.evaluations - 1
        insort(self._utilities, self.utility(node.score))
        if self.beats(node, self.branch_best.get(node.branch_id)):
            self.branch_best[node.branch_id] = node
        point = self.point(node) if self.objectives else None
        if point is not None:
            self._ranked[node.id] = node
            self.fronts.add(node.id, point)
            self.best = max(self.front, key=self._worth)
        elif not self.objectives and self.beats(node, self.best):
            self.best = node

    @property
    def front(self) -> tuple[Node, ...]:
        """Nodes that no other dominates, with several objectives; in the order they came to it."""
        return tuple(self._ranked[node_id] for node_id in self.fronts.front())

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

    @property
    def noise(self) -> float | None:
        """Standard deviation of one evaluation, pooled over all nodes evaluated more than once; None before there is one."""
        return math.sqrt(self._squares / self._freedom) if self._freedom else None

    @property
    def spread(self) -> float | None:
        """Interquartile range of the valid scores: None below eight of them."""
        count = len(self._utilities)
        return self._utilities[3 * count // 4] - self._utilities[count // 4] if count >= 8 else None

    def standard_error(self, node: Node) -> float:
        """Of the node's score, 0 before any noise was measured: what the run's noise makes of so many evaluations, or
        more if the node's own were further apart. Two that agree by chance prove nothing.
        """
        return max(node.error or 0.0, (self.noise or 0.0) / math.sqrt(node.evaluations))

    def point(self, node: Node) -> Point | None:
        """The node's objectives, more is better; None where one is missing."""
        values = [(node.metrics.get(one.name), one.direction) for one in self.objectives]
        if any(value is None for value, _ in values):
            return None
        return tuple(value if direction == "maximize" else -value for value, direction in values if value is not None)

    def beats(self, node: Node, incumbent: Node | None, min_gain: float = 0.0) -> bool:
        """Whether a valid node improves on the incumbent by more than `min_gain` and by more than the noise: twice the
        standard error of the difference. Anything valid beats nothing.

        With several objectives, domination comes first and the score decides between those that do not dominate.
        """
        if node.score is None or incumbent is None or incumbent.score is None:
            return node.score is not None
        mine, theirs = self.point(node), self.point(incumbent)
        if self.objectives and mine is not None and theirs is not None and mine != theirs:
            if dominates(mine, theirs):
                return True
            if dominates(theirs, mine):
                return False
        noise = math.hypot(self.standard_error(node), self.standard_error(incumbent))
        return self.utility(node.score) - self.utility(incumbent.score) > max(min_gain, 2 * noise)

    def _worth(self, node: Node) -> float:
        return self.utility(node.score) if node.score is not None else -math.inf


class SearchGraph(Ranking):
    """A fold over events. `apply` is its only mutator and costs O(depth)."""

    def __init__(self) -> None:
        import networkx as nx  # half of a command's start, for commands that need no graph

        super().__init__()
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
        self.branches: dict[str, list[str]] = {}
        """Judged nodes of every branch, oldest first."""
        self.cost = Cost()
        """What everything settled has cost: nodes and abandoned expansions, but not those in flight."""
        self.rewards: dict[str, float] = {}
        self.by_fingerprint: dict[str, str] = {}
        self._stats: dict[str, Stats] = {ROOT_ID: Stats()}
        self._children: dict[str, list[str]] = {ROOT_ID: []}
        self._pending_children: dict[str, int] = {}
        self._recent: deque[str] = deque()
        self._recent_counts: Counter[str] = Counter()
        """Branches of the latest expansions."""
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
                self.objectives = event.objectives
            case "expansion_started":
                self._start(event.expansion)
            case "expansion_abandoned":
                self._end(self.pending.pop(event.expansion_id))
                self.cost += event.cost
            case "node_added":
                self._add(event.node)
            case "reward_backpropagated":
                self._backpropagate(event.node_id, event.reward, event.reference_reward)
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

    @property
    def effective_branches(self) -> float:
        """exp(H) of the branches that the latest expansions grew: 1 when all grew one, k when k shared them evenly."""
        total = len(self._recent)
        return math.exp(-sum(n / total * math.log(n / total) for n in self._recent_counts.values())) if total else 0.0

    def _start(self, expansion: Expansion) -> None:
        self.steps = max(self.steps, expansion.step)
        self.pending[expansion.id] = expansion
        self._note_branch(expansion.branch_id)
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
        self.branches.setdefault(node.branch_id, []).append(node.id)
        self.edges.add_edge(node.parent_id, node.id, kind="primary", role=node.operator)
        for reference in expansion.references:
            self.edges.add_edge(reference.node_id, node.id, kind="reference", role=reference.role)
        if node.fingerprint is not None and node.status != "duplicate":
            self.by_fingerprint.setdefault(node.fingerprint, node.id)
        self.cost += node.cost
        self.rank(node)

    def _note_branch(self, branch_id: str) -> None:
        self._recent.append(branch_id)
        self._recent_counts[branch_id] += 1
        if len(self._recent) > WINDOW:
            oldest = self._recent.popleft()
            self._recent_counts[oldest] -= 1
            if not self._recent_counts[oldest]:
                del self._recent_counts[oldest]

    def _backpropagate(self, node_id: str, reward: float, reference_reward: float) -> None:
        self.rewards[node_id] = reward
        self._credit(self._stats[node_id], reward, visits=1)
        if reference_reward:
            for source in {reference.node_id for reference in self.expansions[node_id].references}:
                self._credit(self._stats[source], reference_reward, visits=0)

    @staticmethod
    def _credit(stats: Stats | None, reward: float, visits: int) -> None:
        while stats is not None:
            stats.visits += visits
            stats.value_sum += reward
            stats = stats.above


def is_score(value: Any) -> bool:
    """Whether a grader's value can be a score: a finite real number, and not a truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

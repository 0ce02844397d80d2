"""MAP-Elites on islands, the search policy of OpenEvolve (0.4.1) and, before it, of AlphaEvolve (arXiv 2506.13131).

Several populations evolve apart. Each has a grid of features (MAP-Elites, Mouret & Clune 2015, arXiv 1504.04909) in
which a better program takes the place of the one in its cell. A parent is drawn from one island, its author reads the
best programs of that island and some others, and from time to time every island sends its best to its two neighbours.
Failures are never parents and are never told.

What is not as in that system, besides that a seed fixes the run:
- an expansion belongs to the island number `step` modulo `islands`, which stands in for workers pinned to islands;
- what is written from scratch, the given programs above all, joins every island; there only the first island has the
  initial program, and an empty island borrows from the others;
- the archive and the limit of the population are those of one island, a fifth of the numbers there for all five;
- `touched`, how many parts of the initial program were changed, stands in for the textual diversity there;
- where that draws by score as weight, here the weight is 1/rank, since a score may be negative or minimised;
- an author reads the code of at most `top` + `others` programs, each once, and of the best also what each gained; there
  the best are named in one more part of the prompt, and the parent may be among them.
"""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import Literal, Self

from pydantic import Field, model_validator

from evolve.config import SearchSettings
from evolve.events import Event
from evolve.graph import ROOT_ID, Node, Reference, SearchGraph, Selection
from evolve.plugins import BuildContext
from evolve.search.base import Chance, Growth, Policy, Rewards
from evolve.search.reward import reward

Cell = tuple[int, ...]
Ranked = tuple[float, int, str]
"""Sorts the best program first, and of equal ones the oldest."""


class Config(SearchSettings):
    """MAP-Elites on islands, as OpenEvolve does: several populations, top programs as inspirations, migration in a ring."""

    kind: Literal["islands"] = "islands"
    islands: int = Field(default=5, ge=1)
    """Populations that evolve apart; expansions take turns between them."""
    population: int = Field(default=200, ge=2)
    """Programs an island holds at most; the worst that owns no cell of the grid goes first."""
    archive: int = Field(default=20, ge=1)
    """So many of the best programs of an island are drawn from when exploiting."""
    features: list[str] = Field(default=["size", "touched"], min_length=1)
    """Axes of the grid: `size` (characters), `touched` (changed parts of the initial program), or a metric's name."""
    bins: int = Field(default=10, ge=1)
    """Cells along each axis, between the lowest and highest value so far."""
    exploration: float = Field(default=0.2, ge=0, le=1)
    """Share of the parents drawn alike from all of the island."""
    exploitation: float = Field(default=0.7, ge=0, le=1)
    """Share of the parents drawn alike from the archive; the rest is drawn from the island by rank."""
    top: int = Field(default=3, ge=0)
    """So many of the island's best programs are read, code included."""
    others: int = Field(default=2, ge=0)
    """So many more of the island's programs are read, drawn by chance."""
    migration_interval: int = Field(default=50, ge=1)
    """Programs that one island gets between two migrations."""
    migration_rate: float = Field(default=0.1, gt=0, le=1)
    """Share of an island, best first and at least one program, that joins both neighbours in the ring."""

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if self.exploration + self.exploitation > 1:
            raise ValueError("exploration and exploitation must not add up to more than 1")
        return self

    def build(self, context: BuildContext) -> Policy:  # noqa: ARG002
        return Islands(self)


@dataclass(slots=True)
class Island:
    """One population. A program stays while it owns its cell or has not been crowded out."""

    ranked: list[Ranked] = field(default_factory=list)
    cells: dict[Cell, Ranked] = field(default_factory=dict)
    """Best program of every cell that has one."""
    visitors: set[str] = field(default_factory=set)
    """Programs that came by migration; they do not go on to the next island."""
    born: int = 0
    """Programs got since the last migration."""

    def add(self, entry: Ranked, cell: Cell, most: int) -> None:
        """Take a program in, and the better one of its cell keeps it."""
        owner = self.cells.get(cell)
        if owner is None or entry[0] < owner[0]:
            if owner is not None:
                self._remove(owner)
            self.cells[cell] = entry
        insort(self.ranked, entry)
        if len(self.ranked) > most:
            owners = set(self.cells.values())
            homeless = (one for one in reversed(self.ranked) if one not in owners and one != entry)
            self._remove(next(homeless, self.ranked[-1]))

    def has(self, entry: Ranked) -> bool:
        at = bisect_left(self.ranked, entry)
        return self.ranked[at : at + 1] == [entry]

    def emigrants(self, rate: float) -> list[Ranked]:
        natives = [entry for entry in self.ranked if entry[2] not in self.visitors]
        return natives[: max(1, int(len(natives) * rate))]

    def _remove(self, entry: Ranked) -> None:
        del self.ranked[bisect_left(self.ranked, entry)]
        self.visitors.discard(entry[2])
        for cell in [cell for cell, owner in self.cells.items() if owner == entry]:
            del self.cells[cell]


class Islands:
    def __init__(self, settings: Config) -> None:
        self._settings = settings
        self._islands = [Island() for _ in range(settings.islands)]
        self._ranges: dict[str, tuple[float, float]] = {}
        """Lowest and highest value of every feature so far."""

    def observe(self, graph: SearchGraph, event: Event) -> None:
        if event.kind != "node_added" or event.node.score is None:
            return
        node = event.node
        entry, cell = _entry(graph, node), self._cell(node)
        homes = self._islands if node.parent_id == ROOT_ID else [self._home(node.step)]
        for island in homes:
            island.add(entry, cell, self._settings.population)
            island.born += 1
        if max(island.born for island in homes) >= self._settings.migration_interval:
            self._migrate(graph)

    def choose(self, graph: SearchGraph, progress: float, chance: Chance) -> Growth:
        island = self._home(graph.steps + 1)
        if not island.ranked:
            return Growth(ROOT_ID, "draft", Selection("draft", progress, branches=graph.effective_branches))
        why, parent_id = self._parent(island, chance("parent"))
        best, others = self._inspirations(island, parent_id, chance("inspirations"))
        return Growth(
            parent_id,
            "improve",
            Selection(why, progress, branches=graph.effective_branches),
            references=tuple(Reference(node_id, "inspiration") for node_id in (*best, *others)),
            shown=tuple(best),
        )

    def rewards(self, graph: SearchGraph, node: Node) -> Rewards:
        return Rewards(reward("rank", graph, node, self._settings.min_gain))

    def _home(self, step: int) -> Island:
        return self._islands[step % len(self._islands)]

    def _parent(self, island: Island, rng: random.Random) -> tuple[str, str]:
        """What it was drawn from, and the parent."""
        draw = rng.random()
        if draw < self._settings.exploration:
            return "island", rng.choice(island.ranked)[2]
        if draw < self._settings.exploration + self._settings.exploitation:
            return "archive", rng.choice(island.ranked[: self._settings.archive])[2]
        weights = [1 / rank for rank in range(1, len(island.ranked) + 1)]
        return "ranked", rng.choices(island.ranked, weights)[0][2]

    def _inspirations(self, island: Island, parent_id: str, rng: random.Random) -> tuple[list[str], list[str]]:
        """The best of the island, and some others; the parent is never among them."""
        ids = [node_id for _, _, node_id in island.ranked if node_id != parent_id]
        best, rest = ids[: self._settings.top], ids[self._settings.top :]
        return best, rng.sample(rest, min(self._settings.others, len(rest)))

    def _migrate(self, graph: SearchGraph) -> None:
        """Everybody leaves before anybody arrives, so that nobody travels two islands at once."""
        leaving = [island.emigrants(self._settings.migration_rate) for island in self._islands]
        count = len(self._islands)
        for source, entries in enumerate(leaving):
            for target in sorted({(source + 1) % count, (source - 1) % count} - {source}):
                island = self._islands[target]
                for entry in entries:
                    if not island.has(entry):
                        island.visitors.add(entry[2])
                        island.add(entry, self._cell(graph.nodes[entry[2]]), self._settings.population)
        for island in self._islands:
            island.born = 0

    def _cell(self, node: Node) -> Cell:
        return tuple(self._bin(name, _feature(node, name)) for name in self._settings.features)

    def _bin(self, name: str, value: float) -> int:
        """Of a value between the lowest and highest that were seen up to and with it."""
        low, high = self._ranges.get(name, (value, value))
        low, high = min(low, value), max(high, value)
        self._ranges[name] = low, high
        width = high / 2 - low / 2  # halves, since the difference of two huge values is infinite
        if width == 0:
            return self._settings.bins // 2
        return min(self._settings.bins - 1, int((value / 2 - low / 2) / width * self._settings.bins))


def _entry(graph: SearchGraph, node: Node) -> Ranked:
    assert node.score is not None
    return -graph.utility(node.score), node.step, node.id


def _feature(node: Node, name: str) -> float:
    """A metric that a node does not have counts as 0."""
    match name:
        case "size":
            return float(node.size)
        case "touched":
            return float(len(node.touched))
        case _:
            return node.metrics.get(name, 0.0)

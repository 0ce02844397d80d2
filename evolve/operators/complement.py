"""Which other solutions are worth reading: those that are good where the reader is not. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from evolve.graph import Node, SearchGraph


def complementary(graph: SearchGraph, reader: Node, sources: Iterable[Node], most: int) -> list[Node]:
    """The most complementary sources, best first: a high score, and changes to parts that the reader has left alone.

    Each source is worth the quantile of its score plus the share of what it touched that the reader did not, less one
    for each time that a child of the reader has read it. Earlier nodes win ties, so that the answer never depends on
    the order of `sources`.
    """
    read = Counter(
        reference.node_id for child in graph.children(reader.id) for reference in graph.expansions[child].references
    )

    def worth(source: Node) -> float:
        quality = graph.quantile(source.score) if source.score is not None else 0.0
        return quality + _new(source, reader) - read[source.id]

    others = [source for source in sources if source.id != reader.id and source.valid]
    return sorted(others, key=lambda source: (-worth(source), source.step))[:most]


def _new(source: Node, reader: Node) -> float:
    touched = set(source.touched)
    return len(touched - set(reader.touched)) / len(touched) if touched else 0.0

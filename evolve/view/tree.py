"""The search tree as lines of text. Walks without recursion: a chain of thousands of nodes is an ordinary tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evolve.graph import ROOT_ID, Expansion, Node, SearchGraph
from evolve.view.text import branches_words, measured, one_line

KEPT_LEVELS = 12
"""How many levels of indentation are drawn; deeper ones are cut on the left and told as a number."""


def draw(graph: SearchGraph, width: int | None = None, branches: Sequence[float] = ()) -> Iterator[str]:
    """One line a node, children below their parent, oldest first; `*` marks the best node, `F` the Pareto front.

    `branches`: their effective number after each expansion, for the head line.
    """
    growing: dict[str, list[Expansion]] = {}
    for expansion in graph.pending.values():
        growing.setdefault(expansion.parent_id, []).append(expansion)
    front = frozenset(graph.fronts.front())
    spread = f"  branches {branches_words(branches)}" if branches else ""
    yield f"{ROOT_ID} root  {len(graph.nodes)} nodes, {len(graph.pending)} in flight{spread}"[:width]
    stack: list[tuple[str, int, tuple[str, ...], bool]] = []
    _push(stack, graph, growing, ROOT_ID, 0, ())
    while stack:
        node_id, depth, indents, last = stack.pop()
        cut = f"[{depth - KEPT_LEVELS} more] " if depth > KEPT_LEVELS else ""
        line = f"{cut}{''.join(indents)}{'└─ ' if last else '├─ '}{_label(graph, node_id, front)}"
        yield line[:width]
        if node_id in graph.nodes:
            inner = (*indents, "   " if last else "│  ")[-KEPT_LEVELS:]
            _push(stack, graph, growing, node_id, depth + 1, inner)


def _push(
    stack: list[tuple[str, int, tuple[str, ...], bool]],
    graph: SearchGraph,
    growing: dict[str, list[Expansion]],
    node_id: str,
    depth: int,
    indents: tuple[str, ...],
) -> None:
    below = [*graph.children(node_id), *(expansion.id for expansion in growing.get(node_id, ()))]
    for position, child in enumerate(reversed(below)):
        stack.append((child, depth, indents, position == 0))


def _label(graph: SearchGraph, node_id: str, front: frozenset[str]) -> str:
    node = graph.nodes.get(node_id)
    if node is None:
        return f"{node_id} {graph.pending[node_id].operator}  in flight"
    read = ", ".join(f"{one.node_id} ({one_line(one.role)})" for one in graph.expansions[node_id].references)
    stats = graph.stats(node_id)
    marks = ("*" if graph.best is node else "") + ("F " if node_id in front else "")
    parts = (
        f"{marks}{node_id} {node.operator}",
        _verdict(node),
        f"visits {stats.visits}, mean {stats.mean:.3g}",
        f"reads {read}" if read else "",
        one_line(node.title, 100),
    )
    return "  ".join(part for part in parts if part)


def _verdict(node: Node) -> str:
    if node.valid:
        return measured(node.score, node.error, node.evaluations)
    return f"{node.status} of {node.twin_id}" if node.twin_id else node.status

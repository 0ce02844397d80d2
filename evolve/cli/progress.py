"""What is seen while a run works: a bar on a terminal, one line a node otherwise. Everything goes to stderr."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Any, Protocol, Self

from evolve.cli.common import say
from evolve.graph import Expansion, Node, SearchGraph
from evolve.search.planner import INITIAL
from evolve.view.pace import Pace, Standing
from evolve.view.text import duration, one_line, score


class Progress(Protocol):
    """An observer of the engine that also says things; entered before the run and left after it."""

    def say(self, line: str) -> None: ...

    def started(self, graph: SearchGraph, expansion: Expansion) -> None: ...

    def added(self, graph: SearchGraph, node: Node) -> None: ...

    def abandoned(self, graph: SearchGraph, expansion: Expansion, reason: str) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def make_progress(pace: Pace, steps: int | None) -> Progress:
    """`steps`: the limit, if there is one."""
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        return Bar(pace, steps)
    return Lines(pace, steps)


class Lines:
    """One line a node: for logs and pipes."""

    def __init__(self, pace: Pace, steps: int | None) -> None:
        self._pace = pace
        self._steps = steps

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def say(self, line: str) -> None:
        say(line)

    def started(self, graph: SearchGraph, expansion: Expansion) -> None:  # noqa: ARG002
        self._pace.look(graph)

    def added(self, graph: SearchGraph, node: Node) -> None:
        self.say(f"{node_line(graph, node)}  {standing_line(graph, self._pace.look(graph), self._steps)}")
        _warn_of_start(self, node)

    def abandoned(self, graph: SearchGraph, expansion: Expansion, reason: str) -> None:  # noqa: ARG002
        self.say(abandoned_line(expansion, reason))


class Bar:
    """A live bar, and above it a line for every new best."""

    def __init__(self, pace: Pace, steps: int | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        self._pace = pace
        self._steps = steps
        self._console = Console(stderr=True, highlight=False)
        self._bar = RichProgress(
            BarColumn(bar_width=24),
            TextColumn("{task.description}", markup=False),
            console=self._console,
            refresh_per_second=4,
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=1.0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)

    def started(self, graph: SearchGraph, expansion: Expansion) -> None:  # noqa: ARG002
        self._show(graph)

    def added(self, graph: SearchGraph, node: Node) -> None:
        if graph.best is node:
            self.say(node_line(graph, node))
        _warn_of_start(self, node)
        self._show(graph)

    def abandoned(self, graph: SearchGraph, expansion: Expansion, reason: str) -> None:
        self.say(abandoned_line(expansion, reason))
        self._show(graph)

    def _show(self, graph: SearchGraph) -> None:
        standing = self._pace.look(graph)
        changes: dict[str, Any] = {"description": standing_line(graph, standing, self._steps)}
        self._bar.update(self._task, completed=standing.share, **changes)


def _warn_of_start(progress: Progress, node: Node) -> None:
    """A start that fails is more often a mistake in the task than a program to repair."""
    if node.operator == INITIAL and not node.valid:
        progress.say(
            f"warning: the initial program does not score: {node.status}; `evolve node RUN {node.id}` says why"
        )


def node_line(graph: SearchGraph, node: Node) -> str:
    """`n7  improve of n3  scored 0.9621, new best`."""
    verdict = f"scored {score(node.score)}" if node.valid else node.status
    best = ", new best" if graph.best is node else ""
    return f"{node.id}  {node.operator} of {node.parent_id}  {verdict}{best}  {one_line(node.title, 60)}"


def standing_line(graph: SearchGraph, standing: Standing, steps: int | None) -> str:
    """`best 0.9630 · 7/100 · 12.0/min · $0.02 · 3:20 left`."""
    best = f"best {score(graph.best.score if graph.best else None)}"
    done = f"{len(graph.nodes)}/{steps}" if steps else f"{len(graph.nodes)} nodes, {standing.share:.0%} of the budget"
    left = f"{duration(standing.remaining_s)} left" if standing.remaining_s is not None else "-- left"
    return " · ".join((best, done, f"{standing.per_minute:.1f}/min", f"${graph.cost.money_usd:.4f}", left))


def abandoned_line(expansion: Expansion, reason: str) -> str:
    return f"{expansion.id}  {expansion.operator} of {expansion.parent_id}  abandoned: {one_line(reason, 200)}"

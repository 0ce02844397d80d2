"""Words for the terminal. What a model or a program wrote is shown, never obeyed: control characters are taken out."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evolve.view.state import RUNNING
from evolve.view.statistics import buckets

if TYPE_CHECKING:
    from evolve.graph import Cost, Direction, Node
    from evolve.view.best import Best
    from evolve.view.glance import Glance
    from evolve.view.summary import Summary

BUDGET_KEYS = ("steps", "hours", "tokens", "money_usd", "target_score")
"""Stop reasons that are limits of the job."""
LONG_ROW = 8
"""So many failures one after the other are worth a line of their own."""
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Unicode categories that move the cursor, turn the text around or show nothing."""
_BARS = "▁▂▃▄▅▆▇█"


def one_line(text: str, width: int | None = None) -> str:
    """Printable, on one line, and at most `width` characters long."""
    line = " ".join("".join(" " if unicodedata.category(char) in _HIDDEN else char for char in text).split())
    return line if width is None or len(line) <= width else f"{line[: max(0, width - 1)]}…"


def block(text: str) -> str:
    """Printable, with its line breaks and tabs."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(
        "".join(
            "\N{REPLACEMENT CHARACTER}" if char != "\t" and unicodedata.category(char) in _HIDDEN else char
            for char in line
        )
        for line in lines
    )


def score(value: float | None) -> str:
    return "-" if value is None else f"{value:.10g}"


def measured(value: float | None, error: float | None, evaluations: int) -> str:
    """A score, and where it was evaluated several times its standard error, e.g. `1.23 ± 0.01 (n=3)`."""
    return score(value) if value is None or error is None else f"{score(value)} ± {error:.2g} (n={evaluations})"


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """A curve of at most `width` bars, from its lowest to its highest value; flat where they are equal but for rounding."""
    if not values:
        return ""
    shown = buckets(values, width)
    low, span = min(shown), max(shown) - min(shown)
    if span <= 1e-9 * max(map(abs, shown)):
        return _BARS[0] * len(shown)
    return "".join(_BARS[round((value - low) / span * (len(_BARS) - 1))] for value in shown)


def branches_words(branches: Sequence[float]) -> str:
    """The effective number of branches now and over the run, e.g. `2.7  ▁▃▇█▅`; empty before the first expansion."""
    return f"{branches[-1]:.1f}  {sparkline(branches)}" if branches else ""


def money(cost: Cost) -> str:
    """What the calls cost, e.g. `12 calls, 3,400 tokens, $0.0120`."""
    return f"{cost.calls:,} calls, {cost.tokens:,} tokens, ${cost.money_usd:.4f}"


def duration(seconds: float) -> str:
    """0:07, 12:30 or 3:05:00."""
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Left-aligned columns, two blanks between."""
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
    for row in (headers, *rows):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def against_initial(best: Node | None, initial: Node | None, direction: Direction) -> str:
    """The best score beside the initial program's, e.g. `0.97 (initial program 0.95, better by 0.02)`."""
    if best is None or best.score is None:
        return "no valid program yet"
    shown = measured(best.score, best.error, best.evaluations)
    if initial is None or initial.score is None:
        return f"{shown} (the initial program has no score)"
    gain = best.score - initial.score if direction == "maximize" else initial.score - best.score
    compared = f"better by {gain:.4g}" if gain > 0 else "no better yet"
    return f"{shown} (initial program {score(initial.score)}, {compared})"


def doubts(node: Node) -> str:
    """What keeps a score from being taken at its word, each in brackets; empty for an ordinary one."""
    isolated = "" if node.isolated else "  [score not isolated]"
    return isolated + (f"  [suspicious: {one_line(node.suspicion, 100)}]" if node.suspicion else "")


def status_lines(summary: Summary) -> Iterator[str]:
    """What `evolve status` says."""
    best, initial = summary.best, summary.initial
    counts = ", ".join(f"{count} {status}" for status, count in summary.statuses.items())
    yield f"run      {summary.run.path}"
    yield f"task     {one_line(summary.task)} ({summary.direction})"
    yield f"state    {summary.state}" + (f": {one_line(summary.error)}" if summary.error else "")
    yield f"nodes    {summary.nodes}" + (f" ({counts})" if counts else "") + f", {summary.in_flight} in flight"
    if summary.failures_in_row >= LONG_ROW:
        yield f"failing  the last {summary.failures_in_row} nodes in a row"
    if summary.abandoned:
        yield f"lost     {summary.abandoned} expansions to services that failed"
    yield f"best     {against_initial(best, initial, summary.direction)}"
    if best is not None:
        yield f"         {best.id} in {summary.run.best}{doubts(best)}"
    if summary.noise is not None:
        yield f"noise    {summary.noise:.3g} (standard deviation of one evaluation)"
    for position, node in enumerate(summary.front):
        values = ", ".join(f"{one_line(one.name)} {node.metrics[one.name]:.6g}" for one in summary.objectives)
        yield f"{'' if position else 'front':<9}{node.id}: {values}"
    if summary.branches:
        yield f"branches {branches_words(summary.branches)}"
    yield f"cost     {money(summary.cost)}, {duration(summary.active_s)} active"
    for line in _usage_lines(summary):
        yield f"         {line}"
    if summary.state != RUNNING:
        yield f"go on    evolve resume {summary.run.path}"


def _usage_lines(summary: Summary) -> Iterator[str]:
    rows = [
        (
            one_line(one.role),
            one_line(one.operator),
            f"{one.cost.calls:,}",
            f"{one.cost.prompt_tokens:,}",
            f"{one.cost.completion_tokens:,}",
            f"${one.cost.money_usd:.4f}",
            f"{one.again:,}",
        )
        for one in summary.usage
    ]
    if rows:
        yield from table(("role", "operator", "calls", "prompt", "completion", "money", "again"), rows)


def glance_lines(glances: Sequence[Glance], runs: Path) -> Iterator[str]:
    """What `evolve ls` says."""
    if not glances:
        yield f"no runs in {runs}/"
        return
    rows = [
        (
            one_line(one.name),
            one_line(one.task, 30),
            one.stop_reason,
            str(one.nodes),
            f"{score(one.best['score'])} ({one.best['id']})" if one.best else "-",
            duration(one.active_s),
        )
        for one in glances
    ]
    yield from table(("run", "task", "state", "nodes", "best", "active"), rows)


def best_lines(best: Best, copied: Path | None) -> Iterator[str]:
    """What `evolve best` says."""
    card, initial = best.card, best.summary.initial
    yield f"score    {against_initial(best.node, initial, card['direction'])}{doubts(best.node)}"
    yield f"node     {best.node.id}: {one_line(best.node.title, 120)}"
    for name, value in sorted(card["metrics"].items()):
        yield f"metric   {one_line(name)} {value:.10g}"
    yield f"files    {', '.join(one_line(name) for name in sorted(best.files))}"
    yield f"copied   {copied}" if copied else f"in       {best.path}"


def closing_lines(summary: Summary, reason: str, *, resumable: bool) -> Iterator[str]:
    """The last words of a session."""
    best, initial = summary.best, summary.initial
    yield f"stopped     {reason}, {summary.nodes} nodes, {money(summary.cost)}"
    if reason in BUDGET_KEYS:
        yield f"            budget.{reason} is reached; to go on: evolve resume {summary.run.path} --set budget.{reason}=..."
    yield f"best        {against_initial(best, initial, summary.direction)}"
    if best is not None:
        yield f"program     {summary.run.best}/ ({best.id}){doubts(best)}"
    yield f"look        evolve graph {summary.run.path}"
    if resumable:
        yield f"go on       evolve resume {summary.run.path}"

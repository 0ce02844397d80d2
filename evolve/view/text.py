"""Words for the terminal. What a model or a program wrote is shown, never obeyed: control characters are taken out."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evolve.view.state import RUNNING

if TYPE_CHECKING:
    from evolve.graph import Cost, Direction
    from evolve.view.best import Best
    from evolve.view.glance import Glance
    from evolve.view.summary import Summary

BUDGET_KEYS = ("steps", "hours", "tokens", "money_usd", "target_score")
"""Stop reasons that are limits of the job."""
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Unicode categories that move the cursor, turn the text around or show nothing."""


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


def against_initial(best: float | None, initial: float | None, direction: Direction) -> str:
    """The best score beside the initial program's, e.g. `0.97 (initial program 0.95, better by 0.02)`."""
    if best is None:
        return "no valid program yet"
    if initial is None:
        return f"{score(best)} (the initial program has no score)"
    gain = best - initial if direction == "maximize" else initial - best
    compared = f"better by {gain:.4g}" if gain > 0 else "no better yet"
    return f"{score(best)} (initial program {score(initial)}, {compared})"


def status_lines(summary: Summary) -> Iterator[str]:
    """What `evolve status` says."""
    best, initial = summary.best, summary.initial
    counts = ", ".join(f"{count} {status}" for status, count in summary.statuses.items())
    yield f"run      {summary.run.path}"
    yield f"task     {one_line(summary.task)} ({summary.direction})"
    yield f"state    {summary.state}" + (f": {one_line(summary.error)}" if summary.error else "")
    yield f"nodes    {summary.nodes}" + (f" ({counts})" if counts else "") + f", {summary.in_flight} in flight"
    if summary.abandoned:
        yield f"lost     {summary.abandoned} expansions to services that failed"
    yield f"best     {against_initial(best.score if best else None, initial.score if initial else None, summary.direction)}"
    if best is not None:
        yield f"         {best.id} in {summary.run.best}" + ("" if best.isolated else "  [score not isolated]")
    yield f"cost     {money(summary.cost)}, {duration(summary.active_s)} active"
    if summary.state != RUNNING:
        yield f"go on    evolve resume {summary.run.path}"


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
    isolated = "" if best.node.isolated else "  [score not isolated]"
    yield f"score    {against_initial(best.node.score, initial.score if initial else None, card['direction'])}{isolated}"
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
    yield f"best        {against_initial(best.score if best else None, initial.score if initial else None, summary.direction)}"
    if best is not None:
        yield f"program     {summary.run.best}/ ({best.id})" + ("" if best.isolated else "  [score not isolated]")
    yield f"look        evolve graph {summary.run.path}"
    if resumable:
        yield f"go on       evolve resume {summary.run.path}"

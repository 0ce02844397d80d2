"""Commands that look at runs: ls, status, graph, node, why, best."""

from __future__ import annotations

import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import click

from evolve.cli.common import emit, find_run, json_option, run_argument, runs_option, show


@click.command()
@runs_option
@json_option
def ls(runs: Path, as_json: bool) -> None:
    """List the runs, oldest first."""
    from evolve.run.rundir import all_runs
    from evolve.view.glance import glance
    from evolve.view.text import glance_lines

    glances = [glance(run) for run in all_runs(runs)]
    if as_json:
        emit([asdict(one) for one in glances])
    else:
        show(glance_lines(glances, runs))


@click.command()
@run_argument
@json_option
def status(run: str, runs: Path, as_json: bool) -> None:
    """Say how a run stands."""
    from evolve.view.summary import summarise
    from evolve.view.text import status_lines

    summary = summarise(find_run(runs, run))
    if as_json:
        emit(summary.as_dict())
    else:
        show(status_lines(summary))


@click.command()
@run_argument
@json_option
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write .json, .dot, .graphml or .mmd."
)
def graph(run: str, runs: Path, as_json: bool, output: Path | None) -> None:
    """Draw the search graph, or write it to a file."""
    from evolve.view.export import export, writer_for
    from evolve.view.model import graph_dict, load_view
    from evolve.view.tree import draw

    if output is not None:
        writer_for(output)
    view = load_view(find_run(runs, run))
    if output is not None:
        export(view, output)
    elif as_json:
        emit(graph_dict(view))
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        show(draw(view.graph, width, view.branches))


@click.command()
@run_argument
@click.argument("node_id", metavar="ID")
@json_option
def node(run: str, runs: Path, node_id: str, as_json: bool) -> None:
    """Show a node: its plan, its change to the parent, how it was judged."""
    from evolve.view.explain import describe
    from evolve.view.model import load_view, open_artifacts
    from evolve.view.words import node_lines

    view = load_view(find_run(runs, run))
    with open_artifacts(view.run) as artifacts:
        found = describe(view, node_id, artifacts)
    if as_json:
        emit(found)
    else:
        show(node_lines(found))


@click.command()
@run_argument
@click.argument("node_id", metavar="ID")
@json_option
def why(run: str, runs: Path, node_id: str, as_json: bool) -> None:
    """Explain a node: the selection at the time, what its author read, prompts, replies, result."""
    from evolve.view.explain import explain
    from evolve.view.model import load_view, open_artifacts
    from evolve.view.words import why_lines

    view = load_view(find_run(runs, run))
    with open_artifacts(view.run) as artifacts:
        found = explain(view, node_id, artifacts)
    if as_json:
        emit(found)
    else:
        show(why_lines(found))


@click.command()
@run_argument
@json_option
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Copy it into this new folder.")
def best(run: str, runs: Path, as_json: bool, output: Path | None) -> None:
    """Say where the best program is, or copy it with its score card."""
    from evolve.view.best import copy_best, find_best
    from evolve.view.text import best_lines

    found = find_best(find_run(runs, run))
    copied = copy_best(found, output) if output is not None else None
    if as_json:
        emit({**found.card, "path": str(copied or found.path), "files": sorted(found.files)})
    else:
        show(best_lines(found, copied))

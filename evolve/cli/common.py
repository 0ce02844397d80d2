"""What several commands share: options, finding a run, printing."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from evolve.run.rundir import RunDir

NOW = "now"
"""Written into a run's stop file, it turns a termination signal into a stop that does not wait."""

Command = TypeVar("Command", bound=Callable[..., Any])


def runs_option(command: Command) -> Command:
    return click.option(
        "--runs",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("runs"),
        envvar="EVOLVE_RUNS",
        show_default=True,
        help="Folder of the runs.  [env: EVOLVE_RUNS]",
    )(command)


def json_option(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Print data for programs instead of text.")(command)


def set_option(command: Command) -> Command:
    return click.option(
        "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, e.g. budget.steps=200."
    )(command)


def run_argument(command: Command) -> Command:
    """RUN and the folder to look for it in."""
    return click.argument("run", metavar="RUN")(runs_option(command))


def find_run(runs: Path, text: str) -> RunDir:
    from evolve.run.rundir import find

    return find(runs, text)


def emit(data: Any) -> None:
    """One line of JSON on stdout."""
    print(json.dumps(data), flush=True)


def show(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def say(line: str) -> None:
    """A log line: stdout is for data."""
    print(line, file=sys.stderr, flush=True)

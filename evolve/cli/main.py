"""The `evolve` command: which subcommands there are, and how everything that can go wrong is told.

A subcommand's module is imported when it is called, so that no command pays for the imports of another.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import itertools
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import click

from evolve import __version__
from evolve.errors import EvolveError

INTERRUPTED = 130
BROKEN_PIPE = 1
"""As click ends a command that nobody listens to any more."""
DEFECT = 1

_COMMANDS: Mapping[str, tuple[str, str]] = {
    "init": ("tools", "Write a working task and its job file into a new folder."),
    "doctor": ("doctor", "Say what works on this machine and what to do about the rest."),
    "run": ("run", "Start a run from a job file."),
    "resume": ("run", "Go on with a run that was stopped or killed."),
    "stop": ("tools", "Ask a run to stop; it can be resumed."),
    "ls": ("show", "List the runs."),
    "status": ("show", "Say how a run stands."),
    "graph": ("show", "Draw the search graph, or write it to a file."),
    "node": ("show", "Show a node: plan, change, result."),
    "why": ("show", "Explain a node: selection, prompts, replies, result."),
    "best": ("show", "Say where the best program is, or copy it."),
    "compare": ("compare", "Put runs, or settings of one job, beside each other."),
    "config": ("tools", "Check or show a job file; print its schema."),
    "plugins": ("tools", "List what can be chosen by `kind`."),
}
"""Module of evolve.cli and short help, by name."""


class Commands(click.Group):
    """The subcommands, found by name without importing them, and one way of telling errors."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"evolve.cli.{_COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in _COMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, _COMMANDS, n=1)
            hint = f"did you mean `evolve {near[0]}`?" if near else "`evolve --help` lists the commands"
            raise EvolveUsage(f"there is no command {name!r}", hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args or ["--help"])

    def main(self, args: Sequence[str] | None = None, *_: Any, **extra: Any) -> None:  # type: ignore[override]
        arguments = list(sys.argv[1:] if args is None else args)
        flags = itertools.takewhile(lambda argument: argument.startswith("-"), arguments)
        debug = "--debug" in flags or bool(os.environ.get("EVOLVE_DEBUG"))
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError):
                stream.reconfigure(errors="replace")  # type: ignore[union-attr]
        sys.exit(self._guarded(arguments, debug, {**extra, "prog_name": "evolve", "standalone_mode": False}))

    def _guarded(self, arguments: list[str], debug: bool, extra: dict[str, Any]) -> int:
        """Run a command; its exit code."""
        try:
            code = super().main(arguments, **extra)
            sys.stdout.flush()
        except EvolveError as error:
            _tell(error.message, error.hint, debug)
            return error.exit_code
        except click.UsageError as error:
            _tell(*_usage(error), debug)
            return error.exit_code
        except click.Abort:
            print("interrupted", file=sys.stderr)
            return INTERRUPTED
        except BrokenPipeError:
            _leave_stdout()
            return BROKEN_PIPE
        except Exception as error:  # noqa: BLE001 - the last line of defence: a defect is told as one
            traceback.print_exc()
            _tell(
                f"a defect in evolve: {type(error).__name__}: {error}", "please report it with the lines above", False
            )
            return DEFECT
        return code if isinstance(code, int) else 0


class EvolveUsage(click.UsageError):
    """A usage error that knows its own remedy."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def _usage(error: click.UsageError) -> tuple[str, str]:
    """Message and hint of a usage error, with the nearest known option."""
    path = error.ctx.command_path if error.ctx else "evolve"
    if isinstance(error, EvolveUsage):
        return error.message, error.hint
    if isinstance(error, click.NoSuchOption):
        near = error.possibilities[0] if error.possibilities else None
        hint = f"did you mean {near}?" if near else f"`{path} --help` lists the options"
        return f"{path}: there is no option {error.option_name}", hint
    return " ".join(f"{path}: {error.format_message()}".split()), f"`{path} --help` shows how it is used"


def _tell(message: str, hint: str, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    print(f"error: {message}\nhint: {hint}", file=sys.stderr)


def _leave_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush fails quietly too."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="evolve")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def main() -> None:
    """Discover better programs by Progressive Monte Carlo Graph Search."""

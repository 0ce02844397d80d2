"""Commands around a run: init, stop, config, plugins."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import click

from evolve.cli.common import NOW, emit, find_run, json_option, run_argument, runs_option, set_option, show
from evolve.errors import ConfigError

SKELETON = Path(__file__).with_name("skeleton")


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Write a task that works and its commented job file into DIR. Nothing is overwritten."""
    files = {path.name: path.read_text(encoding="utf-8") for path in sorted(SKELETON.iterdir()) if path.is_file()}
    taken = [name for name in files if (folder / name).exists()] if folder.is_dir() else []
    if taken or (folder.exists() and not folder.is_dir()):
        raise ConfigError(
            f"{folder}: has {', '.join(taken)} already" if taken else f"{folder}: is a file",
            hint="choose a new folder; nothing was written",
        )
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("-._")[:64] or "job"
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        (folder / file).write_text(text.replace("NAME-OF-THE-JOB", name), encoding="utf-8")
    show(
        [
            f"wrote    {', '.join(str(folder / file) for file in files)}",
            f"try      evolve run {folder / 'job.yaml'} --dry-run",
            f"then     evolve run {folder / 'job.yaml'}",
        ]
    )


@click.command()
@run_argument
@click.option("--now", is_flag=True, help="Do not wait for rollouts in flight; a resume takes them up again.")
@json_option
def stop(run: str, runs: Path, now: bool, as_json: bool) -> None:
    """Ask a run to stop: by a file in its directory that it looks for, and with --now by a signal too."""
    from evolve.view.state import is_running, worker_pid

    found = find_run(runs, run)
    running = is_running(found)
    pid = worker_pid(found) if now else None
    if running:
        found.stop.write_text(NOW if now else "", encoding="utf-8")
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
    if as_json:
        emit({"run": str(found.path.resolve()), "running": running, "signalled": pid is not None})
    else:
        show([_stop_words(found.path, running, now, pid)])


def _stop_words(path: Path, running: bool, now: bool, pid: int | None) -> str:
    if not running:
        return f"{path}: nobody is working on it; nothing to stop"
    if pid is not None:
        return f"{path}: process {pid} was told to stop now; go on with `evolve resume {path}`"
    unseen = " (its process cannot be seen from here, so it was not signalled)" if now else ""
    return f"{path}: will stop when the rollouts in flight have finished{unseen}; go on with `evolve resume {path}`"


@click.group(no_args_is_help=False)
def config() -> None:
    """Check or show a job file; print its schema."""


@config.command()
@click.argument("job", type=click.Path(path_type=Path))
@set_option
@json_option
def check(job: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Read JOB and its task and tell every problem; nothing is run."""
    from evolve.jobfile import load_job
    from evolve.run.session import build_parts

    parts = build_parts(load_job(job, overrides))
    sheet = parts.task.sheet
    if as_json:
        emit({"job": str(job), "task": sheet.name, "direction": sheet.direction, "isolated": sheet.isolated})
    else:
        show([f"{job}: in order (task {sheet.name}, {sheet.direction})"])


@config.command("show")
@click.argument("source", metavar="JOB|RUN")
@runs_option
@set_option
@json_option
def show_config(source: str, runs: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Print the resolved configuration of a job file or a run, defaults written out."""
    from evolve.jobfile import dump_job, load_job

    path = Path(source)
    named = path.is_file() or path.suffix in (".yaml", ".yml")
    job = load_job(path, overrides) if named else find_run(runs, source).load(overrides)
    if as_json:
        emit(job.config.model_dump(mode="json"))
    else:
        print(dump_job(job.config), end="")


@config.command()
def schema() -> None:
    """Print the JSON schema of a job file, for editors."""
    from evolve.config import JobConfig

    emit(JobConfig.model_json_schema())


@click.command()
@json_option
def plugins(as_json: bool) -> None:
    """List every `kind` there is, by family."""
    from evolve.plugins import FAMILIES, config_class, kinds
    from evolve.view.text import table

    found = [
        {
            "family": family,
            "kind": kind,
            "summary": (config_class(family, kind).__doc__ or "").strip().partition("\n")[0],
        }
        for family in FAMILIES
        for kind in kinds(family)
    ]
    if as_json:
        emit(found)
    else:
        show(table(("family", "kind", "what it is"), [tuple(one.values()) for one in found]))

"""Where a run lives on disk: its files, how a run is created and how it is found again."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from evolve import __version__
from evolve.errors import RunError, RunExists, RunNotFound
from evolve.run.disk import needs_room

if TYPE_CHECKING:  # a job file's types are most of a command's start, and a look at a run needs none
    from evolve.jobfile import Job

_DEPENDENCIES = ("networkx", "numpy", "openai", "docker", "pydantic")


@dataclass(frozen=True, slots=True)
class RunDir:
    """The paths of one run."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def manifest(self) -> Path:
        return self.path / "manifest.json"

    @property
    def journal(self) -> Path:
        return self.path / "journal.jsonl"

    @property
    def calls(self) -> Path:
        return self.path / "calls.jsonl"

    @property
    def timeline(self) -> Path:
        return self.path / "timeline.jsonl"

    @property
    def artifacts(self) -> Path:
        return self.path / "artifacts.sqlite"

    @property
    def best(self) -> Path:
        return self.path / "best"

    @property
    def given(self) -> Path:
        return self.path / "given"

    @property
    def stop(self) -> Path:
        return self.path / "stop"

    def load(self, overrides: tuple[str, ...] = ()) -> Job:
        """The job as it was resolved when the run was created, with later `--set` overrides."""
        from evolve.jobfile import load_job

        manifest = self.read_manifest()
        return load_job(self.config, overrides, base_dir=Path(manifest["base_dir"]))

    def read_manifest(self) -> dict[str, Any]:
        """Raises RunNotFound when the file is missing or not a manifest."""
        try:
            manifest = json.loads(self.manifest.read_text(encoding="utf-8"))
            manifest["base_dir"]
        except (OSError, ValueError, KeyError, TypeError):
            raise RunNotFound(
                f"{self.manifest}: missing or not readable", hint="restore it, or start a new run with `evolve run`"
            ) from None
        return dict(manifest)

    def read_given(self) -> tuple[dict[str, str], ...]:
        """The programs, beside the task's own first one, that the run starts from, in their order.

        Raises RunError when one of them cannot be read.
        """
        found: list[dict[str, str]] = []
        while (folder := self.given / str(len(found) + 1)).is_dir():
            paths = sorted(path for path in folder.rglob("*") if path.is_file())
            try:
                found.append({path.relative_to(folder).as_posix(): path.read_bytes().decode() for path in paths})
            except (OSError, UnicodeDecodeError) as error:
                raise RunError(
                    f"{folder}: cannot be read: {error}", hint="restore it: the run starts from this program"
                ) from None
        return tuple(found)

    def save_config(self, job: Job) -> None:
        """Replace the resolved configuration, e.g. after a resume with another budget. Raises DiskFull."""
        from evolve.jobfile import dump_job

        with needs_room(self.config):
            write_atomically(self.config, dump_job(job.config))

    def publish_best(self, node_id: str, files: Mapping[str, str], card: Mapping[str, Any]) -> None:
        """Replace `best/` at once: a reader sees the old solution or the new one, never a mixture. Raises DiskFull."""
        from evolve.tasks.base import SCORE_CARD

        folder = self.path / f".best-{node_id}"
        shutil.rmtree(folder, ignore_errors=True)
        with needs_room(self.best):
            for name, text in files.items():
                target = folder / PurePosixPath(name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
            (folder / SCORE_CARD).write_text(json.dumps(dict(card), indent=2) + "\n", encoding="utf-8")
            link = self.path / ".best-link"
            link.unlink(missing_ok=True)
            link.symlink_to(folder.name, target_is_directory=True)
            link.replace(self.best)
        for old in self.path.glob(".best-n*"):
            if old.name != folder.name:
                shutil.rmtree(old, ignore_errors=True)


def create(
    runs: Path, name: str | None, job: Job, facts: Mapping[str, Any], given: Sequence[Mapping[str, str]] = ()
) -> RunDir:
    """Make a run directory, whole or not at all. `facts` go into the manifest beside versions and machine.

    `given`: programs to start from beside the task's own first one, copied so that a resume finds them.
    Raises RunExists when `name` was given and is taken, RunError where no run can be made.
    """
    from importlib.metadata import version

    from evolve.jobfile import dump_job

    run = RunDir(runs / (name or f"{time.strftime('%Y%m%d-%H%M%S')}-{job.config.name}"))
    if name is None:
        run = _free(run)
    manifest = {
        "evolve": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {package: version(package) for package in _DEPENDENCIES},
        "base_dir": str(job.base_dir),
        **facts,
    }
    files = {"config.yaml": dump_job(job.config), "manifest.json": json.dumps(manifest, indent=2) + "\n"}
    for number, program in enumerate(given, start=1):
        files |= {f"given/{number}/{path}": text for path, text in program.items()}
    try:
        runs.mkdir(parents=True, exist_ok=True)
        draft = _draft(runs, files)
    except OSError as error:
        raise RunError(
            f"{runs}: no run can be made here: {error.strerror}",
            hint="free some space there, or choose another folder with --runs",
        ) from None
    try:
        draft.rename(run.path)
    except OSError:
        shutil.rmtree(draft)
        raise RunExists(
            f"{run.path}: is there already",
            hint=f"go on with it by `evolve resume {run.name}`, or choose another --name",
        ) from None
    return run


def _draft(runs: Path, files: Mapping[str, str]) -> Path:
    """A folder with the files, under a name that no run has; nothing if they do not fit."""
    draft = Path(tempfile.mkdtemp(prefix=".new-", dir=runs))
    try:
        draft.chmod(0o755)
        for name, text in files.items():
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            (draft / name).write_text(text, encoding="utf-8")
    except OSError:
        shutil.rmtree(draft)
        raise
    return draft


def find(runs: Path, text: str) -> RunDir:
    """The run with that path, or whose name alone contains `text`. Raises RunNotFound."""
    path = Path(text)
    if (path / "config.yaml").is_file():
        return RunDir(path)
    matches = [run for run in all_runs(runs) if text in run.name]
    exact = [run for run in matches if run.name == text]
    if len(exact) == 1 or len(matches) == 1:
        return (exact or matches)[0]
    if matches:
        names = ", ".join(run.name for run in matches[-5:])
        raise RunNotFound(
            f"{text!r}: {len(matches)} runs have that in their name: {names}", hint="give more of the name"
        )
    raise RunNotFound(
        f"{text!r}: no run of that name in {runs}/", hint="`evolve ls` lists the runs; --runs DIR looks elsewhere"
    )


def all_runs(runs: Path) -> list[RunDir]:
    """By name, and so by time for runs that were not given one."""
    if not runs.is_dir():
        return []
    return [
        RunDir(path)
        for path in sorted(runs.iterdir())
        if not path.name.startswith(".") and (path / "config.yaml").is_file()
    ]


def write_atomically(path: Path, text: str) -> None:
    """A reader, or a crash, sees the old file or the new one."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(0o644)
        draft.replace(path)
    except OSError:
        draft.unlink()
        raise


def digest_of(files: Mapping[str, str]) -> str:
    """SHA-256 over names and texts, independent of their order."""
    whole = json.dumps(sorted(files.items()), ensure_ascii=True)
    return hashlib.sha256(whole.encode()).hexdigest()


def _free(run: RunDir) -> RunDir:
    """The same name with -2, -3, ... when a run of this second is there already."""
    number = 1
    candidate = run
    while candidate.path.exists():
        number += 1
        candidate = RunDir(run.path.with_name(f"{run.name}-{number}"))
    return candidate

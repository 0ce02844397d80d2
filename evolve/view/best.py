"""The best program of a run, from the journal and the artifacts rather than from the folder that shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evolve.errors import ConfigError, RunNotFound
from evolve.graph import Node
from evolve.run.rollout import load_candidate
from evolve.run.rundir import RunDir, write_atomically
from evolve.view.model import open_artifacts
from evolve.view.summary import Summary, summarise


@dataclass(frozen=True, slots=True)
class Best:
    summary: Summary
    node: Node
    files: Mapping[str, str]

    @property
    def path(self) -> Path:
        """Where the run keeps a copy."""
        return self.summary.run.path.resolve() / self.summary.run.best.name

    @property
    def card(self) -> dict[str, Any]:
        return {
            "id": self.node.id,
            "score": self.node.score,
            "direction": self.summary.direction,
            "metrics": dict(self.node.metrics),
            "isolated": self.node.isolated,
            "level": self.node.level,
        }


def find_best(run: RunDir) -> Best:
    """Raises RunNotFound while no node has a valid score."""
    summary = summarise(run)
    if summary.best is None:
        raise RunNotFound(
            f"{run.name}: none of its {summary.nodes} nodes has a valid score",
            hint=f"`evolve graph {run.path}` shows what became of them",
        )
    with open_artifacts(run) as artifacts:
        files = load_candidate(summary.best, artifacts)["files"]
    return Best(summary, summary.best, files)


def copy_best(best: Best, folder: Path) -> Path:
    """Write the program and `score.json` into a new or empty folder. Raises ConfigError when there is something."""
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder}: is not empty", hint="name a new folder, so that nothing is overwritten")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in best.files.items():
        target = folder / name
        if not target.resolve().is_relative_to(folder.resolve()):
            raise ConfigError(f"{name}: a file outside of {folder}", hint="the run's files were tampered with")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    write_atomically(folder / "score.json", json.dumps(best.card, indent=2) + "\n")
    return folder

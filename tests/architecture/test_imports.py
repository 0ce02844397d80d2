"""Imports point down, SDKs stay in their provider's module, and importing has no side effects."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "evolve"
LAYERS = [
    {"errors"},
    {"resources", "plugins", "prompts", "pareto"},
    {"config", "graph", "events"},
    {"jobfile"},
    {"llm", "sandbox", "memory", "operators", "tasks"},
    {"search", "agent"},
    {"run"},
    {"view"},
    {"cli", "__main__"},
]
"""Lowest first; a module may import from its own layer and from those below."""
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
SDKS = {
    "openai": {"llm/openai.py"},
    "docker": {"sandbox/docker.py", "sandbox/image.py"},
    "networkx": {"graph.py", "view/export.py"},
    "click": {"cli/"},
    "rich": {"cli/", "view/"},
    "jinja2": {"prompts.py"},
    "tenacity": {"llm/stack.py"},
}


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE), ast.parse(path.read_text())


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_imports_point_down() -> None:
    wrong = []
    for path, tree in modules():
        own = path.parts[0].removesuffix(".py")
        if own in ("testing", "__init__"):
            continue
        for name in imported(tree):
            parts = name.split(".")
            if parts[0] == "evolve" and len(parts) > 1 and RANK[parts[1]] > RANK[own]:
                wrong.append(f"{path} imports {name}")
    assert wrong == []


@pytest.mark.parametrize("sdk", SDKS)
def test_an_sdk_is_imported_only_where_it_is_wrapped(sdk: str) -> None:
    users = {
        str(path)
        for path, tree in modules()
        if path.parts[0] != "testing" and any(name.split(".")[0] == sdk for name in imported(tree))
    }
    assert all(user.startswith(tuple(SDKS[sdk])) for user in users), users


def test_importing_everything_loads_no_sdk_prints_nothing_and_makes_nothing(tmp_path: Path) -> None:
    names = [
        ".".join(("evolve", *path.with_suffix("").parts))
        for path, _ in modules()
        if path.stem not in ("__main__", "__init__") and "drivers" not in path.parts and "skeleton" not in path.parts
    ]
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(sorted({'openai', 'docker', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
    assert list(tmp_path.iterdir()) == []

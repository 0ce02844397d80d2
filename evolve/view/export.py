"""The graph as a file for other tools. Titles come from models: every format quotes them in its own way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from evolve.errors import ConfigError
from evolve.graph import ROOT_ID
from evolve.view.model import RunView, graph_dict
from evolve.view.text import one_line, score

_FILLS = {"scored": "#d5f0d5", "root": "#eeeeee"}
_FAILED = "#f5d5d5"


def as_json(view: RunView) -> str:
    return json.dumps(graph_dict(view), indent=1) + "\n"


def as_dot(view: RunView) -> str:
    return "\n".join(_dot(graph_dict(view))) + "\n"


def as_mermaid(view: RunView) -> str:
    return "\n".join(_mermaid(graph_dict(view))) + "\n"


def as_graphml(view: RunView) -> str:
    import networkx as nx

    data = graph_dict(view)
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(run=view.run.name, direction=data["direction"])
    for node in data["nodes"]:
        graph.add_node(node["id"], **_plain(node))
    for edge in data["edges"]:
        graph.add_edge(edge["source"], edge["target"], kind=edge["kind"], role=one_line(edge["role"]))
    return "\n".join(nx.generate_graphml(graph)) + "\n"


FORMATS: dict[str, Callable[[RunView], str]] = {
    ".json": as_json,
    ".dot": as_dot,
    ".graphml": as_graphml,
    ".mmd": as_mermaid,
}
"""By the suffix of the file."""


def export(view: RunView, path: Path) -> None:
    """Write the graph in the format that the file's suffix names. Raises ConfigError for any other."""
    path.write_text(writer_for(path)(view), encoding="utf-8")


def writer_for(path: Path) -> Callable[[RunView], str]:
    writer = FORMATS.get(path.suffix.lower())
    if writer is None:
        raise ConfigError(
            f"{path}: no format is known for {path.suffix or 'a name without suffix'!r}",
            hint=f"end the name in {', '.join(FORMATS)}",
        )
    return writer


def _label(node: Mapping[str, Any]) -> tuple[str, str]:
    """Two lines: what it is, and its title."""
    verdict = score(node["score"]) if node["status"] == "scored" else node["status"]
    head = "root" if node["id"] == ROOT_ID else f"{node['id']} {node['operator']} {verdict}"
    return one_line(head), one_line(node["title"], 60)


def _dot(data: Mapping[str, Any]) -> Iterator[str]:
    yield "digraph run {"
    yield "  node [shape=box, style=filled];"
    for node in data["nodes"]:
        label = r"\n".join(_dot_text(line) for line in _label(node))
        pen = 3 if node["id"] == data["best_id"] else 1
        frames = 2 if node["id"] in data["front"] else 1
        fill = _FILLS.get(node["status"], _FAILED)
        yield f'  "{node["id"]}" [label="{label}", fillcolor="{fill}", penwidth={pen}, peripheries={frames}];'
    for edge in data["edges"]:
        role = _dot_text(edge["role"])
        look = "" if edge["kind"] == "primary" else f', style=dashed, constraint=false, label="{role}"'
        yield f'  "{edge["source"]}" -> "{edge["target"]}" [kind="{edge["kind"]}", role="{role}"{look}];'
    yield "}"


def _dot_text(text: str) -> str:
    return one_line(text).replace("\\", "\\\\").replace('"', '\\"')


def _mermaid(data: Mapping[str, Any]) -> Iterator[str]:
    yield "flowchart TD"
    for node in data["nodes"]:
        label = "<br/>".join(_mermaid_text(line) for line in _label(node))
        yield f'  {node["id"]}["{label}"]'
    for edge in data["edges"]:
        arrow = "-->" if edge["kind"] == "primary" else f'-. "{_mermaid_text(edge["role"])}" .->'
        yield f"  {edge['source']} {arrow} {edge['target']}"
    for node_id in data["front"]:
        yield f"  style {node_id} stroke-dasharray:6 2"
    if data["best_id"]:
        yield f"  style {data['best_id']} stroke-width:4px"


def _mermaid_text(text: str) -> str:
    """Mermaid reads `#code;` as a character; all that could end a label or start markup is written so."""
    return "".join(f"#{ord(char)};" if char in '"#&<>`;\\[]{}()|' else char for char in one_line(text))


def _plain(node: Mapping[str, Any]) -> dict[str, str | int | float]:
    """The attributes GraphML can hold: no nesting and nothing missing."""
    return {
        key: one_line(value) if isinstance(value, str) else value
        for key, value in node.items()
        if key != "id" and isinstance(value, str | int | float)
    }

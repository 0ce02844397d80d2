from __future__ import annotations

import json
import re
from pathlib import Path

import networkx as nx
import pytest
from view.synthetic import HOSTILE, grown, pending, started, write_run

from evolve.errors import ConfigError
from evolve.events import ExpansionAbandoned
from evolve.graph import Objective, SearchGraph
from evolve.view.export import FORMATS, export
from evolve.view.model import RunView, graph_dict, load_view
from evolve.view.tree import draw


@pytest.fixture
def view(tmp_path: Path) -> RunView:
    events = [
        started(),
        *grown(1, title=HOSTILE),
        *grown(2, "n1", 2.0),
        *grown(3, "n1", None, reads=["n2"]),
        pending(4, "n3"),
        pending(5, "n3"),
        ExpansionAbandoned("n5", "n3", "endpoint down"),
    ]
    timeline = [{"what": "node", "id": "n2", "stages": {"solve": 0.5}, "at": 1.0, "active_s": 2.0}]
    return load_view(write_run(tmp_path / "made-up", events, timeline))


def test_data_of_a_graph(view: RunView) -> None:
    data = graph_dict(view)
    root, first, *_ = data["nodes"]
    assert (root["id"], root["parent_id"], root["visits"], root["in_flight"]) == ("n0", None, 3, 1)
    assert first["title"] == HOSTILE
    wanted = {"id", "step", "branch_id", "operator", "parent_id", "status", "score", "reward", "visits", "value_sum"}
    assert all(wanted <= node.keys() for node in data["nodes"])
    assert {"source": "n2", "target": "n3", "kind": "reference", "role": "fusion"} in data["edges"]
    assert {"source": "n0", "target": "n1", "kind": "primary", "role": "initial"} in data["edges"]
    assert data["best_id"] == "n2"
    assert data["front"] == []
    assert data["branches"] == [pytest.approx(1.0)] * 5
    assert [one["id"] for one in data["pending"]] == ["n4"]


def test_the_tree_in_the_terminal(view: RunView) -> None:
    lines = list(draw(view.graph))
    assert lines[0] == "n0 root  3 nodes, 1 in flight"
    assert re.fullmatch(r"└─ n1 initial  1  visits 3, mean 1  a\"\];.*end", lines[1])
    assert lines[2:] == [
        "   ├─ *n2 improve  2  visits 1, mean 1  t",
        "   └─ n3 improve  crashed  visits 1, mean 1  reads n2 (fusion)  t",
        "      └─ n4 debug  in flight",
    ]
    assert all(len(line) <= 20 for line in draw(view.graph, 20))


def test_a_chain_of_5000_nodes_can_be_drawn() -> None:
    events = [started(), *grown(1)]
    for step in range(2, 5001):
        events += grown(step, f"n{step - 1}")[:2]  # without the reward, whose walk up is not what is tested
    lines = list(draw(SearchGraph.fold(events)))
    assert len(lines) == 5001
    assert "n5000 improve" in lines[-1]
    assert max(map(len, lines)) < 150


def test_exports_survive_hostile_titles(view: RunView, tmp_path: Path) -> None:
    for suffix in FORMATS:
        export(view, tmp_path / f"g{suffix}")
    assert len(json.loads((tmp_path / "g.json").read_text())["nodes"]) == 4
    graph = nx.read_graphml(tmp_path / "g.graphml")
    assert set(graph) == {"n0", "n1", "n2", "n3"}
    assert graph.nodes["n1"]["title"].startswith('a"];')
    for name in ("g.dot", "g.mmd"):
        written = (tmp_path / name).read_text()
        assert "\x1b" not in written
        assert "\u202e" not in written
    assert len((tmp_path / "g.mmd").read_text().splitlines()) == 1 + 4 + 4 + 1
    dot = (tmp_path / "g.dot").read_text()
    assert '"n2" -> "n3" [kind="reference", role="fusion", style=dashed, constraint=false, label="fusion"];' in dot
    assert '"n0" -> "n1" [kind="primary", role="initial"];' in dot
    assert 'n2 -. "fusion" .-> n3' in (tmp_path / "g.mmd").read_text()
    assert ("reference", "fusion") in {(edge["kind"], edge["role"]) for *_, edge in graph.edges(data=True)}
    assert ("primary", "improve") in {(edge["kind"], edge["role"]) for *_, edge in graph.edges(data=True)}


def test_the_pareto_front_and_repeated_scores_are_marked(tmp_path: Path) -> None:
    events = [
        started(objectives=[Objective("speed", "maximize"), Objective("size", "minimize")]),
        *grown(1, score=1.0, metrics={"speed": 1.0, "size": 5.0}),
        *grown(2, "n1", 3.0, metrics={"speed": 2.0, "size": 5.0}, evaluations=3, error=0.25),
        *grown(3, "n1", 2.0, metrics={"speed": 1.5, "size": 4.0}),
    ]
    view = load_view(write_run(tmp_path / "run", events))
    lines = [line.split("  visits")[0].strip(" ├└─") for line in draw(view.graph, branches=view.branches)]
    assert lines == [
        "n0 root  3 nodes, 0 in flight  branches 1.0  ▁▁▁",
        "n1 initial  1",
        "*F n2 improve  3 ± 0.25 (n=3)",
        "F n3 improve  2",
    ]
    assert graph_dict(view)["front"] == ["n2", "n3"]
    export(view, tmp_path / "g.dot")
    assert [
        line.split('"')[1] for line in (tmp_path / "g.dot").read_text().splitlines() if "peripheries=2" in line
    ] == [
        "n2",
        "n3",
    ]
    export(view, tmp_path / "g.mmd")
    assert "  style n3 stroke-dasharray:6 2\n" in (tmp_path / "g.mmd").read_text()


def test_an_unknown_suffix_writes_nothing(view: RunView, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no format is known for '\.svg'"):
        export(view, tmp_path / "g.svg")
    assert not (tmp_path / "g.svg").exists()


def test_stage_seconds_and_fates(view: RunView) -> None:
    assert view.stages["n2"] == {"solve": 0.5}
    assert view.abandoned == {"n5": "endpoint down"}
    assert view.state == "interrupted"

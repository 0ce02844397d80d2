"""One node in full: why it was grown, what was asked and answered, what came of it. Plain data; `words` tells it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from evolve.graph import ROOT_ID, Node
from evolve.run.artifacts import Artifacts
from evolve.run.calls import Call, read_calls
from evolve.run.rollout import load_candidate, load_evaluation
from evolve.search.planner import INITIAL
from evolve.view.model import RunView, node_dict


def describe(view: RunView, node_id: str, artifacts: Artifacts) -> dict[str, Any]:
    """A judged node: its plan, its change to the parent, how it was judged and what that cost."""
    node = view.node(node_id)
    return {**node_dict(view.graph, node), "gain": _gain(view, node), **_work(view, node, artifacts)}


def explain(view: RunView, node_id: str, artifacts: Artifacts) -> dict[str, Any]:
    """A decision, whatever became of it: the terms at the time, what its author read, and all that followed."""
    expansion = view.decision(node_id)
    graph = view.graph
    node = graph.nodes.get(expansion.id)
    return {
        "id": expansion.id,
        "step": expansion.step,
        "operator": expansion.operator,
        "parent_id": expansion.parent_id,
        "branch_id": expansion.branch_id,
        "state": _state(view, expansion.id),
        "abandoned": view.abandoned.get(expansion.id),
        "selection": asdict(expansion.selection),
        "best_then": _brief(view, expansion.best_id) if expansion.best_id else None,
        "given": expansion.given,
        "noise": expansion.noise,
        "models": dict(expansion.models),
        "beside": [*expansion.beside],
        "references": [{"role": one.role, **_brief(view, one.node_id)} for one in expansion.references],
        "shown": [_brief(view, shown) for shown in expansion.shown],
        "recalled": [asdict(view.experiences[one]) for one in expansion.recalled if one in view.experiences],
        "calls": [_call(call, artifacts) for call in read_calls(view.run.calls) if call.expansion_id == expansion.id],
        "node": describe(view, node.id, artifacts) if node else None,
    }


def patch(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """A unified diff over all files; empty where nothing changed."""
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for path in sorted({*before, *after})
        for line in difflib.unified_diff(
            before.get(path, "").splitlines(keepends=True),
            after.get(path, "").splitlines(keepends=True),
            f"a/{path}" if path in before else "/dev/null",
            f"b/{path}" if path in after else "/dev/null",
        )
    )


def _work(view: RunView, node: Node, artifacts: Artifacts) -> dict[str, Any]:
    candidate = load_candidate(node, artifacts)
    evaluation = load_evaluation(node, artifacts)
    files = candidate["files"]
    before = _base_files(view, node, artifacts)
    return {
        "plan": candidate["plan"],
        "notes": candidate.get("notes", []),
        "reason": candidate.get("reason"),
        "files": sorted(files),
        "patch": patch(before, files) if files and before is not None else "",
        "evaluation": evaluation,
        "stage_seconds": dict(view.stages.get(node.id, {})),
    }


def _gain(view: RunView, node: Node) -> float | None:
    """Over the parent, more is better; None where either has no score."""
    parent = view.graph.nodes.get(node.parent_id)
    if parent is None or parent.score is None or node.score is None:
        return None
    return view.graph.utility(node.score) - view.graph.utility(parent.score)


def _base_files(view: RunView, node: Node, artifacts: Artifacts) -> Mapping[str, str] | None:
    """The program that a node's author started from; None for the initial program, which nobody changed."""
    if node.operator == INITIAL:
        return None
    if node.parent_id != ROOT_ID:
        return dict(load_candidate(view.graph.nodes[node.parent_id], artifacts)["files"])
    initial = next((one for one in view.graph.nodes.values() if one.operator == INITIAL), None)
    return dict(load_candidate(initial, artifacts)["files"]) if initial else {}


def _state(view: RunView, node_id: str) -> str:
    if node_id in view.graph.nodes:
        return view.graph.nodes[node_id].status
    return "abandoned" if node_id in view.abandoned else "in flight"


def _brief(view: RunView, node_id: str) -> dict[str, Any]:
    node = view.graph.nodes[node_id]
    return {"id": node.id, "status": node.status, "score": node.score, "title": node.title}


def _call(call: Call, artifacts: Artifacts) -> dict[str, Any]:
    messages = [{"role": role, "content": content} for role, content in json.loads(artifacts.get(call.prompt_ref))]
    return {
        "id": call.id,
        "role": call.role,
        "model": call.model,
        "instead_of": call.instead_of,
        "finish": call.finish,
        "prompt_tokens": call.prompt_tokens,
        "completion_tokens": call.completion_tokens,
        "money_usd": call.money_usd,
        "seconds": call.seconds,
        "messages": messages,
        "reply": artifacts.get(call.reply_ref),
    }

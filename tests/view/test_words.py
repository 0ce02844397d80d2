"""How a decision is told: in flight, lost, or with everything its author read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from view.synthetic import HOSTILE, grown, pending, started, write_calls, write_run

from evolve.events import Event, ExpansionAbandoned, ExpansionStarted, Experience, ExperienceRecorded
from evolve.graph import Choice, Selection
from evolve.run.artifacts import Artifacts
from evolve.view.explain import describe, explain, patch
from evolve.view.model import load_view, open_artifacts
from evolve.view.words import node_lines, why_lines


def told(tmp_path: Path, events: list[Event], node_id: str) -> list[str]:
    run = write_run(tmp_path / "run", events)
    Artifacts(run.artifacts).close()
    view = load_view(run)
    with open_artifacts(run) as artifacts:
        return list(why_lines(explain(view, node_id, artifacts)))


def test_a_decision_with_all_it_was_told(tmp_path: Path) -> None:
    selection = Selection("exploit", 0.25, 1.2, 0.8, (Choice("n1", 3, 0.5, 0.25, 4),))
    decided = pending(3, "n2").expansion
    told_all = replace(decided, selection=selection, shown=("n1",), recalled=("n2",), best_id="n1")
    lesson = Experience("n2", "n1", "improve", "crashed", "t", None, "sig", "mind the gap")
    events = [
        started(),
        *grown(1, title=HOSTILE),
        *grown(2, "n1", None),
        ExperienceRecorded(lesson),
        ExpansionStarted(told_all),
    ]
    lines = told(tmp_path, events, "n3")
    assert lines[:6] == [
        "n3  debug of n2, branch n1, step 3",
        "state     in flight",
        "selected  exploited: drawn from the best nodes",
        "          at 25% of the budget: c = 1.2, chance to explore 80%",
        "          taken  visits  mean  exploration  value  rivals",
        "          n1     3       0.5   0.25         0.75   4",
    ]
    assert lines[6].startswith('best then n1 (1): a"];')
    assert lines[7].startswith('shown     n1 (1): a"];')
    assert lines[8] == "recalled  n2 (improve, crashed): mind the gap"
    assert "\x1b" not in "".join(lines)


def test_a_lost_decision_says_why_and_what_it_read(tmp_path: Path) -> None:
    events = [started(), *grown(1), *grown(2, "n1", None), pending(3, "n2")]
    lines = told(tmp_path, [*events, ExpansionAbandoned("n3", "n2", "endpoint\x1bdown")], "n3")
    assert lines[1] == "state     abandoned: endpoint down"


def test_a_decision_of_another_policy_with_models_noise_and_drafts_beside_it(tmp_path: Path) -> None:
    selection = Selection("roulette", 0.5, branches=2.25)
    decided = replace(
        pending(2, "n0").expansion,
        selection=selection,
        models={"coder": "m\x1b", "strategist": "n"},
        noise=0.25,
        given=1,
        beside=("n1",),
    )
    lines = told(tmp_path, [started(), pending(1, "n0"), ExpansionStarted(decided)], "n2")
    assert lines[2:] == [
        "selected  roulette",
        "          at 50% of the budget, 2.2 effective branches",
        "given     program 2 of those to start from",
        "asked     m first as coder",
        "asked     n first as strategist",
        "noise     0.25 at the time (standard deviation of one evaluation)",
        "beside    n1, drafts in flight that it was to differ from",
    ]


def test_a_node_tells_what_was_expected_and_how_sure_its_score_is(tmp_path: Path) -> None:
    facts = {"evaluations": 3, "error": 0.125, "predicted_gain": 0.5, "suspicion": "jump of 9 spreads; reproduced"}
    events = [started("minimize"), *grown(1, score=4.0), *grown(2, "n1", 1.0, touched=("f", "g"), **facts)]
    run = write_run(tmp_path / "run", events)
    Artifacts(run.artifacts).close()
    view = load_view(run)
    with open_artifacts(run) as artifacts:
        found, first = describe(view, "n2", artifacts), describe(view, "n1", artifacts)
    lines = list(node_lines(found))
    assert lines[2:5] == [
        "score     1 ± 0.12 (n=3)",
        "doubted   jump of 9 spreads; reproduced",
        "gain      +3 over n1, predicted +0.5",
    ]
    assert "touched   f, g" in lines
    assert found["gain"] == 3.0
    assert first["gain"] is None
    assert not any(line.startswith("gain") for line in node_lines(first))


def test_references_are_named_with_their_role(tmp_path: Path) -> None:
    lines = told(tmp_path, [started(), *grown(1), *grown(2, "n1"), *grown(3, "n1", reads=["n2"])], "n3")
    assert "read      n2 (1): t as fusion" in lines


def test_a_patch_names_new_and_gone_files_and_missing_newlines() -> None:
    written = patch({"a.py": "x\n", "same": "s\n", "gone": "g\n"}, {"a.py": "y", "same": "s\n", "new": "n\n"})
    assert written == (
        "--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-x\n+y\n\\ No newline at end of file\n"
        "--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-g\n"
        "--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+n\n"
    )
    assert patch({"a": "1"}, {"a": "1"}) == ""


def test_a_prediction_stands_beside_a_gain_only_where_there_is_one(tmp_path: Path) -> None:
    events = [started(), *grown(1), *grown(2, "n1", 3.0), *grown(3, "n1", None, predicted_gain=1.0)]
    run = write_run(tmp_path / "run", events)
    Artifacts(run.artifacts).close()
    view = load_view(run)
    with open_artifacts(run) as artifacts:
        told = [list(node_lines(describe(view, node_id, artifacts))) for node_id in ("n2", "n3")]
    assert "gain      +2 over n1" in told[0]
    assert "gain      unknown over n1, predicted +1" in told[1]


def test_an_answer_of_another_model_than_the_one_asked_is_told(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [started(), pending(1, "n0")])
    write_calls(run, ("n1/coder/1", "coder", 5, 6))
    line = json.loads(run.calls.read_text())
    with Artifacts(run.artifacts) as artifacts:
        refs = {"prompt_ref": artifacts.put('[["user", "write it"]]'), "reply_ref": artifacts.put("done")}
        artifacts.flush()
    run.calls.write_text(json.dumps({**line, **refs, "instead_of": "big\x1bmodel"}) + "\n")
    with open_artifacts(run) as artifacts:
        lines = list(why_lines(explain(load_view(run), "n1", artifacts)))
    assert lines[-6:] == [
        "call n1/coder/1  m, 5 + 6 tokens, $0.0110, 1 s",
        "          instead of big model, which failed",
        "--- prompt (user) ---",
        "write it",
        "--- reply (stop) ---",
        "done",
    ]

"""How a decision is told: in flight, lost, or with everything its author read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from view.synthetic import HOSTILE, grown, pending, started, write_run

from evolve.events import Event, ExpansionAbandoned, ExpansionStarted, Experience, ExperienceRecorded
from evolve.graph import Choice, Selection
from evolve.run.artifacts import Artifacts
from evolve.view.explain import explain, patch
from evolve.view.model import load_view, open_artifacts
from evolve.view.words import why_lines


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

"""A person who answers, a reviewer who mends, and a run that is replayed."""

from __future__ import annotations

import json
from pathlib import Path

from e2e.commands import Place, plan, program, returning, script

SCRIPTED = {"kind": "scripted", "path": "replies.yaml"}


def test_a_person_answers(place: Place) -> None:
    job = place.job({"kind": "manual", "poll_s": 0.01}, agent={"mode": "whole"}, budget={"steps": 3})
    running = place.start("run", job, "--name", "one", "--json")
    folder = place.run().path / "manual"
    for call, reply in {
        "n2-strategist-1": plan("a larger number"),
        "n2-coder-1": "I do not feel like it.",
        "n2-coder-2": returning(5),
        "n3-strategist-1": "Return nine. " * 20,
        "n3-strategist-2": plan("nine"),
        "n3-coder-1": returning(9),
    }.items():
        running.until((folder / f"{call}.prompt.md").exists)
        half = folder / f"{call}.half"
        half.write_text(reply)
        half.rename(folder / f"{call}.reply.md")
    done = running.ended()
    assert done.code == 0, done.err
    assert (done.data["nodes"], done.data["best"]["score"]) == (3, 9.0)
    assert f"n2/coder/1 waits for a reply to {folder / 'n2-coder-1.prompt.md'}" in done.err
    assert "as large as possible" in (folder / "n2-coder-1.prompt.md").read_text()
    assert "I do not feel like it." in (folder / "n2-coder-2.prompt.md").read_text()
    assert [call["model"] for call in place.data("why", "one", "n2")["calls"]] == ["manual"] * 3


def test_a_reviewer_mends_what_would_fail(place: Place) -> None:
    broken = program("def solve():\n    return unknown + 1\n")
    edit = "<<<<<<< SEARCH\n    return unknown + 1\n=======\n    return 41 + 1\n>>>>>>> REPLACE\n"
    harmful = "<<<<<<< SEARCH\n    return 3\n=======\n    return 3 +\n>>>>>>> REPLACE\n"
    replies = [
        *(("strategist", plan(f"idea {number}")) for number in range(4)),
        ("coder", broken),
        ("coder", returning(2)),
        ("coder", returning(3)),
        ("coder", returning(4)),
        ("reviewer", edit),
        ("reviewer", "LGTM"),
        ("reviewer", harmful),
        ("reviewer", "Looks odd to me."),
    ]
    place.write({"replies.yaml": script(*replies)})
    job = place.job({"coder": SCRIPTED, "reviewer": SCRIPTED}, agent={"mode": "whole"}, budget={"steps": 5})
    done = place.evolve("run", job, "--name", "one", "--json")
    assert done.code == 0, done.err
    assert "reviewer    scripted\n" in done.err
    assert [node.score for node in place.graph().nodes.values()] == [0, 42, 2, 3, 4]
    notes = {node.id: place.candidate(node)["notes"] for node in place.graph().nodes.values()}
    assert notes["n2"] == ["review: mended"]
    assert notes["n3"] == ["review: nothing to mend"]
    assert notes["n4"][0].startswith("review: edits refused: ")
    assert notes["n5"] == ["review: neither LGTM nor edits; ignored"]
    assert (place.run().best / "initial.py").read_text() == "def solve():\n    return 41 + 1\n"
    *_, review = place.data("why", "one", "n2")["calls"]
    assert (review["id"], review["reply"]) == ("n2/reviewer/1", edit)
    assert "return unknown + 1" in review["messages"][1]["content"]
    assert "note      review: mended" in place.evolve("why", "one", "n2").out


def test_a_replayed_run_is_the_same_run(place: Place) -> None:
    coder = [returning(4), "no program today", "nor now", returning(4), program("def solve():\n    return 1 / 0\n")]
    replies = [
        pair for number, text in enumerate(coder) for pair in (("strategist", plan(f"idea {number}")), ("coder", text))
    ]
    place.write({"replies.yaml": script(*replies)})
    place.job({**SCRIPTED, "cycle": True}, budget={"steps": 12}, agent={"mode": "whole"}, seed=5)
    job = str(place.folder / "job.yaml")
    first = place.evolve("run", job, "--name", "one", "--json")
    assert first.code == 0, first.err
    (place.folder / "replies.yaml").unlink()
    replay = json.dumps({"kind": "replay", "run": "runs/one"})
    again = place.evolve("run", job, "--name", "two", "--json", "--set", f"llm={replay}")
    assert again.code == 0, again.err
    statuses = {node.status for node in place.graph().nodes.values()}
    assert statuses >= {"scored", "duplicate", "crashed"}
    assert place.run("two").journal.read_bytes() == place.run("one").journal.read_bytes()
    assert bought(place.run("two").calls) == bought(place.run("one").calls)
    assert again.data == {**first.data, "run": again.data["run"], "best": again.data["best"]}
    assert again.data["best"]["id"] == first.data["best"]["id"]


def bought(path: Path) -> list[dict[str, object]]:
    """The calls of a run, without how long they took."""
    calls = [json.loads(line) for line in path.read_text().splitlines()]
    for call in calls:
        del call["seconds"]
    return calls

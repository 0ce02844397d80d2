"""Tasks of other kinds, from the job file to the best program: self-graded, several files, other languages, broken."""

from __future__ import annotations

import json
import shutil

import pytest
from e2e.commands import TASK, Place, plan, program, returning, steps

SCRIPTED = {"kind": "scripted", "path": "replies.yaml"}

EVALUATOR = """\
import importlib.util
from pathlib import Path


def evaluate(program_path):
    spec = importlib.util.spec_from_file_location("program", program_path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    target = float((Path(__file__).parent / "target.txt").read_text())
    return {"combined_score": -abs(module.guess() - target), "guess": module.guess()}
"""
PROGRAM = """\
import math

# EVOLVE-BLOCK-START
def guess():
    return 1.0
# EVOLVE-BLOCK-END


def untouched():
    return "as it was"
"""


def test_an_evaluator_in_the_way_of_openevolve(place: Place) -> None:
    edit = "<<<<<<< SEARCH\n    return 1.0\n=======\n    return math.pi\n>>>>>>> REPLACE\n"
    outside = '<<<<<<< SEARCH\n    return "as it was"\n=======\n    return "mine"\n>>>>>>> REPLACE\n'
    whole = program('def guess():\n    return 4.0\n\n\ndef untouched():\n    return "mine"\n')
    place.write({"replies.yaml": steps(edit, outside, whole)})
    task = {"task.md": "Guess it.", "initial.py": PROGRAM, "evaluator.py": EVALUATOR, "target.txt": "3.0"}
    llm = {**SCRIPTED, "cycle": True}
    settings = {"kind": "program", "path": "task", "private": ["target.txt"]}
    job = place.job(llm, task, task=settings, agent={"mode": "diff"}, budget={"steps": 4})
    done = place.evolve("run", job, "--name", "one", "--json")
    assert done.code == 0, done.err
    assert "scores      NOT isolated: " in done.err
    assert done.data["best"]["score"] == pytest.approx(-0.14159, abs=1e-4)
    assert "[score not isolated]" in place.evolve("status", "one").out
    assert "[score not isolated]" in place.evolve("node", "one", done.data["best"]["id"]).out
    nodes = place.data("graph", "one")["nodes"]
    assert {node["isolated"] for node in nodes if node["status"] == "scored"} == {False}
    best = (place.run().best / "initial.py").read_text()
    assert best == PROGRAM.replace("1.0", "math.pi")


LANGUAGES = {
    "sh": (
        {"main.sh": '. ./lib.sh\necho "$VALUE" > answer.json\n', "lib.sh": "VALUE=1\n"},
        {"lib.sh": "VALUE=5\n"},
        {"lib.sh": ". ./more/extra.sh\n", "more/extra.sh": "VALUE=7\n"},
    ),
    "perl": (
        {
            "main.pl": 'require "./lib.pl"; open(F, ">answer.json"); print F value(); close(F);\n',
            "lib.pl": "sub value { 1 } 1;\n",
        },
        {"lib.pl": "sub value { 5 } 1;\n"},
        {"lib.pl": 'require "./more/extra.pl"; sub value { extra() } 1;\n', "more/extra.pl": "sub extra { 7 } 1;\n"},
    ),
    "node": (
        {
            "main.js": "require('fs').writeFileSync('answer.json', String(require('./lib.js')))\n",
            "lib.js": "module.exports = 1\n",
        },
        {"lib.js": "module.exports = 5\n"},
        {"lib.js": "module.exports = require('./more/extra.js')\n", "more/extra.js": "module.exports = 7\n"},
    ),
}
"""Command; the initial program, whose main file is protected; and two better ones."""


def files(changed: dict[str, str]) -> str:
    return "\n".join(program(text, path) for path, text in changed.items())


@pytest.mark.parametrize("command", LANGUAGES)
def test_a_program_of_several_files_in_another_language(place: Place, command: str) -> None:
    if shutil.which(command) is None:
        pytest.skip(f"NOT TESTED: there is no {command} here")
    initial, better, best = LANGUAGES[command]
    main, library = initial
    cheat = {main: "echo 999 > answer.json\n", library: better[library].replace("5", "6")}
    place.write({"replies.yaml": steps(files(better), files(cheat), files(best))})
    task = {"task.md": "A larger number.", "grader.py": TASK["grader.py"]} | {
        f"initial/{name}": text for name, text in initial.items()
    }
    settings = {"kind": "program", "path": "task", "solve": [command, main], "protected": [main]}
    job = place.job(SCRIPTED, task, task=settings, agent={"mode": "whole"}, budget={"steps": 3})
    done = place.evolve("run", job, "--name", "one", "--json")
    assert done.code == 0, done.err
    assert done.data["best"]["score"] == 7.0, place.evolve("graph", "one").out
    assert max(node.score or 0 for node in place.graph().nodes.values()) == 7.0
    published = {path.relative_to(place.run().best).as_posix(): path for path in place.run().best.rglob("*.*")}
    assert published.pop("score.json").is_file()
    assert {name: path.read_text() for name, path in published.items()} == {main: initial[main], **best}
    refused = place.data("node", "one", "n3")["notes"]
    assert [main in note for note in refused] == [True], refused


def test_text_that_no_file_can_hold_is_no_crash(place: Place) -> None:
    """A reply in JSON may hold half of a surrogate pair."""
    replies = [
        {"role": "strategist", "text": plan("half a \ud83d")},
        {"role": "coder", "text": program("VALUE=5 # \ud83d\n", "main.sh")},
    ]
    place.write({"replies.jsonl": "".join(json.dumps(reply) + "\n" for reply in replies)})
    task = {
        "task.md": "More.",
        "grader.py": TASK["grader.py"],
        "initial/main.sh": "VALUE=1\n",
        "initial/run.sh": ". ./main.sh\necho $VALUE > answer.json\n",
    }
    settings = {
        "kind": "program",
        "path": "task",
        "solve": ["sh", "run.sh"],
        "protected": ["run.sh"],
    }
    llm = {"kind": "scripted", "path": "replies.jsonl", "cycle": True}
    job = place.job(llm, task, task=settings, agent={"mode": "whole"}, budget={"steps": 2})
    done = place.evolve("run", job, "--name", "one", "--json")
    assert done.code == 0, done.err
    assert (done.data["nodes"], done.data["best"]["score"]) == (2, 5.0)
    assert (place.run().best / "main.sh").read_text() == "VALUE=5 # ?\n"
    for command in (["node", "one", "n2"], ["why", "one", "n2"], ["graph", "one"], ["best", "one"]):
        assert place.evolve(*command).code == 0


BROKEN = "import no_such_module\n\n\n"


@pytest.mark.parametrize(
    ("file", "function", "works"),
    [
        ("grader.py", "def grade(answer):\n", "    return answer\n"),
        ("evaluator.py", "def evaluate(program_path):\n", "    return {'combined_score': 1}\n"),
    ],
)
def test_a_judge_that_does_not_import(place: Place, file: str, function: str, works: str) -> None:
    place.write({"replies.yaml": steps(returning(1), returning(2), returning(3))})
    task = {"task.md": "More.", "initial.py": TASK["initial.py"], file: BROKEN + function + works}
    job = place.job(SCRIPTED, task, search={"workers": 2})
    origin = place.folder / "task" / file
    dry = place.evolve("run", job, "--dry-run")
    done = place.evolve("run", job, "--name", "one")
    for one in (dry, done):
        assert one.code == 2
        error, hint = one.told
        assert error.startswith(f"{origin}: cannot be imported: ModuleNotFoundError: No module named 'no_such_module'")
        assert "mend it" in hint
    assert not place.graph().nodes
    origin.write_text(function + works)
    mended = place.evolve("resume", "one", "--json")
    assert mended.code == 0, mended.err
    assert mended.data["nodes"] == 4


def test_a_judge_that_exits_at_import(place: Place) -> None:
    task = {**TASK, "grader.py": "import sys\nsys.exit(3)\n\n\ndef grade(answer):\n    return 1\n"}
    done = place.evolve("run", place.job({"kind": "mutation"}, task), "--name", "one")
    assert done.code == 2, done.err
    assert f"{place.folder / 'task' / 'grader.py'}: cannot be imported" in done.told[0]


def test_a_task_without_a_judge(place: Place) -> None:
    task = {"task.md": "More.", "initial.py": TASK["initial.py"]}
    done = place.evolve("run", place.job({"kind": "mutation"}, task))
    assert (done.code, done.told) == (
        2,
        (
            f"{place.folder / 'task'}: no grader.py and no evaluator.py",
            "write grader.py with `def grade(answer)` that returns the score",
        ),
    )
    assert not place.runs.exists()


def test_everything_that_is_wrong_with_a_task_at_once(place: Place) -> None:
    done = place.evolve("run", place.job({"kind": "mutation"}, {"other.py": "", "grader.py": "def grade(:\n"}))
    assert done.code == 2
    for words in ("task.md: No such file", "initial.py: No such file", "grader.py: "):
        assert words in done.err
    assert not place.runs.exists()

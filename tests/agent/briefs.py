"""Fixed briefs for the agents' tests, and a model that replies what it is told to."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from evolve.agent.brief import Attempt, Brief, Change, Plan, Solution
from evolve.events import Experience
from evolve.llm.base import Reply, Request
from evolve.tasks.base import TaskSheet

PROGRAM = '''"""Pack circles."""

import json


def pack(n):
    side = 6
    r = 1 / (2 * side)
    return [((i % side + 0.5) / side, (i // side + 0.5) / side, r) for i in range(n)]


with open("answer.json", "w") as file:
    json.dump(pack(26), file)
'''
JUDGE = "def grade(answer):\n    return sum(r for _, _, r in answer)\n"

TASK = TaskSheet(
    name="circle packing",
    description="Place 26 circles in the unit square so that the sum of their radii is as large as possible.\n",
    direction="maximize",
    initial={"program.py": PROGRAM},
    interface="`python program.py` writes answer.json: a list of 26 [x, y, r].",
    timeout_s=10,
    reference=2.635983,
)
TWO_FILES = dataclasses.replace(
    TASK,
    initial={
        "program.py": PROGRAM.replace("def pack", "# EVOLVE-BLOCK-START\ndef pack").replace(
            "\n\n\nwith", "\n# EVOLVE-BLOCK-END\n\n\nwith"
        ),
        "lib/geometry.py": "def gap(a, b):\n    return 0\n",
        "judge.py": JUDGE,
    },
    protected=frozenset({"judge.py"}),
    direction="minimize",
    interface="",
    reference=None,
)
SCORED = Solution(
    node_id="n2",
    title="a grid of six by six",
    files={"program.py": PROGRAM},
    status="scored",
    score=2.1666666666666665,
    metrics={"sum_of_radii": 2.1666666666666665, "empty_cells": 10.0},
    feedback="valid; 10 cells of the grid are empty",
    artifacts={"worst pairs": "1 2 0.03\n4 5 0.04"},
)
FAILED = Solution(
    node_id="n3",
    title="grow in place",
    files={"program.py": PROGRAM.replace("26), file", "26)[99], file")},
    status="crashed",
    score=None,
    feedback="the program ended with exit code 1",
    stderr="Traceback (most recent call last):\n"
    '  File "/job/program.py", line 12, in <module>\n'
    "    json.dump(pack(26)[99], file)\n"
    "IndexError: list index out of range\n",
)
ATTEMPTS = (
    Attempt("n4", "rows shifted by half a cell", "scored", 2.25),
    Attempt("n5", "random restarts", "timed_out", None),
)
LESSONS = (Experience("n1", "n0", "improve", "scored", "five columns", 0.02, None, "fewer, larger circles help"),)
OTHER = dataclasses.replace(
    SCORED,
    node_id="n6",
    title="columns of unequal width",
    files={"program.py": PROGRAM.replace("side = 6", "side = 5")},
    score=2.25,
    metrics={},
    feedback="",
    artifacts={},
    role="fusion",
)
TOO_LONG = dataclasses.replace(
    OTHER, node_id="n5", title="every circle by hand", files={"program.py": "x = 1\n" * 4000}
)
BRIEFS = {
    "draft": Brief("n7", "draft", TASK, None, None, attempts=ATTEMPTS),
    "improve": Brief("n8", "improve", TASK, SCORED, 2.25, attempts=ATTEMPTS, experiences=LESSONS),
    "debug": Brief("n9", "debug", TASK, FAILED, 2.25),
    "two-files": Brief(
        "n10",
        "improve",
        TWO_FILES,
        dataclasses.replace(SCORED, files=TWO_FILES.initial),
        None,
        references=(dataclasses.replace(SCORED, node_id="n6", title="another grid", role="fusion", artifacts={}),),
    ),
    "beside": Brief(
        "n12", "draft", TASK, None, 2.25, beside=("simulated annealing over the centres",), progress=0.126, noise=0.0312
    ),
    "evolve": Brief(
        "n13",
        "evolve",
        TASK,
        SCORED,
        2.25,
        attempts=ATTEMPTS,
        trajectory=(
            Attempt("n1", "the initial program, as given", "scored", 0.96),
            Attempt("n3", "crash", "crashed", None),
        ),
        references=(dataclasses.replace(OTHER, role="trajectory"),),
        progress=0.5,
    ),
    "fuse": Brief("n14", "fuse", TASK, SCORED, 2.25, attempts=ATTEMPTS, references=(OTHER, TOO_LONG), progress=0.5),
    "aggregate": Brief(
        "n15",
        "aggregate",
        TASK,
        None,
        2.25,
        attempts=ATTEMPTS,
        references=tuple(dataclasses.replace(one, role="aggregation") for one in (SCORED, OTHER)),
        progress=0.75,
    ),
    "failed": Brief("n16", "improve", TASK, dataclasses.replace(FAILED, files={}), None),
    "timed-out": Brief("n11", "debug", TASK, dataclasses.replace(FAILED, status="timed_out", stderr=""), None),
}
PLAN = Plan(
    "Shift odd rows.",
    "Hexagonal rows are denser.",
    (Change("pack", "add r to x in odd rows"), Change("", "use math")),
    "the interface",
)


class Script:
    """Replies in order, and keeps what it was asked."""

    def __init__(self, replies: Sequence[str | Reply]) -> None:
        self._replies = list(replies)
        self.requests: list[Request] = []

    def complete(self, request: Request) -> Reply:
        self.requests.append(request)
        reply = self._replies.pop(0)
        return reply if isinstance(reply, Reply) else Reply(reply, "script")

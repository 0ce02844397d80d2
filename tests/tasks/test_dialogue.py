"""The grader asks, the program replies; neither can touch the other, and only bounded lines pass."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tasks.folders import build, judged

from evolve.errors import ConfigError
from evolve.plugins import BuildContext, config_class
from evolve.sandbox.base import ExecResult, SandboxProvider
from evolve.tasks.base import Task
from evolve.tasks.judges import relay
from evolve.testing.task_contract import BareProvider, TaskContract

SUM = """
def interact(candidate):
    print("this is no question")
    return {"score": sum(candidate.ask({"n": n}) for n in range(10)), "asked": candidate.asked}
"""
START = "def decide(message):\n    return message['n']\n"


def dialogue(root: Path, grader: str = SUM, **settings: object) -> Task:
    return build(root, {"grader.py": grader, "initial.py": START}, **settings)


class TestContract(TaskContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.root = tmp_path

    def build(self) -> Task:
        return dialogue(self.root)


class TestContractInAProcess(TestContract):
    @pytest.fixture(autouse=True)
    def _opened(self, tmp_path: Path) -> Iterator[None]:
        self.sandboxes: SandboxProvider = config_class("sandbox", "process")().build(BuildContext(tmp_path))
        yield
        self.sandboxes.close()

    def provider(self) -> SandboxProvider:
        return self.sandboxes


def test_every_question_is_answered_by_decide(tmp_path: Path) -> None:
    evaluation = judged(dialogue(tmp_path), "def decide(message):\n    return 2 * message['n']\n")
    assert (evaluation.score, evaluation.metrics) == (90.0, {"asked": 10.0})
    assert [stage.name for stage in evaluation.stages] == ["reply", "grade"]


def test_module_state_lasts_and_the_channel_is_the_drivers_alone(tmp_path: Path) -> None:
    program = """
import os, sys
print("hello")
os.write(1, b"7\\n")
os.system("echo 8")
count = 0

def decide(message):
    global count
    count += 1
    print("thinking", message)
    assert sys.stdin.read() == ""
    return count
"""
    evaluation = judged(dialogue(tmp_path), program)
    assert evaluation.score == 55.0
    assert "hello" in evaluation.stderr
    assert "thinking {'n': 9}" in evaluation.stderr


@pytest.mark.parametrize(
    ("program", "status", "words"),
    [
        (
            "def decide(m):\n    return 1 / 0\n",
            "crashed",
            ["no reply to question 1", "ZeroDivisionError", "initial.py"],
        ),
        ("x = 1\n", "crashed", ["no reply to question 1", "defines no function decide()"]),
        (
            "import os\ndef decide(m):\n    if m['n'] == 3: os._exit(0)\n    return 0\n",
            "crashed",
            ["no reply to question 4"],
        ),
        ("def decide(m):\n    while True: pass\n", "timed_out", ["no reply to question 1", "no end after 0.5 s"]),
        ("def decide(m):\n    raise MemoryError\n", "out_of_memory", ["no reply to question 1"]),
        ("def decide(m):\n    return float('nan')\n", "invalid", ["reply 1 is nan"]),
        ("def decide(m):\n    return [0, [1e999]]\n", "invalid", ["reply 1[1][0] is inf"]),
        ("def decide(m):\n    return 'x' * 5000\n", "invalid", ["no reply to question 1", "printed more than it may"]),
        ("def decide(m):\n    return {1, 2}\n", "crashed", ["what decide() returns is no plain data"]),
        ("def decide(m):\n    return 'one'\n", "invalid", ["the grader failed: TypeError", "(grader.py, line 4)"]),
    ],
)
def test_a_failing_program_is_a_result_that_names_its_reason(
    tmp_path: Path, program: str, status: str, words: list[str]
) -> None:
    limit = 0.5 if "while" in program else 60.0
    evaluation = judged(dialogue(tmp_path, timeout_s=limit, answer_mb=0.003), program)
    assert evaluation.status == status, evaluation.feedback
    for word in words:
        assert word in evaluation.feedback


def test_another_language_reads_lines_and_writes_lines(tmp_path: Path) -> None:
    task = dialogue(tmp_path, solve=["sh", "initial.py"])
    assert judged(task, "while read line; do echo 4; done").score == 40.0
    assert judged(task, "while read line; do echo four; done").feedback.startswith(
        "the answer is refused: reply 1 is not JSON"
    )
    assert "one line of JSON" in task.sheet.interface


def test_a_late_reply_is_timed_out(tmp_path: Path) -> None:
    program = "import time\ndef decide(m):\n    time.sleep(0.6 * (m['n'] == 2))\n    return 0\n"
    assert judged(dialogue(tmp_path), program).status == "scored"
    evaluation = judged(dialogue(tmp_path, ask_timeout_s=0.4), program)
    assert evaluation.status == "timed_out"
    assert evaluation.feedback.startswith("reply 3 took 0.6")


@pytest.mark.parametrize(
    ("grader", "words"),
    [
        ("def interact(candidate):\n    candidate.ask(1)\n    while True: pass\n", "the grader failed: no end after"),
        ("def interact(candidate):\n    import os\n    os._exit(5)\n", "the grader failed: exit code 5"),
        ("def interact(candidate):\n    candidate.ask(float('nan'))\n", "the grader failed: ValueError"),
        ("def interact(candidate):\n    candidate.ask('x' * 5000)\n", "the grader failed: printed more than it may"),
        ("def interact(candidate):\n    return input()\n", "the grader failed: EOFError"),
        ("def interact(candidate):\n    return {'error': 'no luck'}\n", "no luck"),
    ],
)
def test_a_grader_that_fails_is_told_apart(tmp_path: Path, grader: str, words: str) -> None:
    limits = {"timeout_s": 1.5, "grade_timeout_s": 0.1} if "while" in grader else {}
    task = dialogue(tmp_path, grader, answer_mb=0.003, **limits)
    evaluation = judged(task, "def decide(message):\n    return 0\n")
    assert evaluation.status == "invalid"
    assert words in evaluation.feedback


def test_a_grader_that_does_not_import_is_nobodys_failure(tmp_path: Path) -> None:
    task = dialogue(tmp_path, "import nothing_of_this_name\n" + SUM)
    for program in (START, "import os\nos._exit(0)\n"):
        with pytest.raises(ConfigError, match="cannot be imported: ModuleNotFoundError"):
            task.grade({"initial.py": program}, BareProvider())


class Echo:
    """A conversation that says the same line a number of times, whatever it is sent."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.heard: list[bytes] = []

    def send(self, line: bytes) -> None:
        self.heard.append(line)

    def receive(self, max_bytes: int) -> bytes | None:
        self.left -= 1
        return b"x" * max_bytes if self.left >= 0 else None

    def finish(self) -> ExecResult:
        return ExecResult("exited", 0, "", "", 0.0)


def test_the_relay_carries_lines_unread_until_one_side_is_silent() -> None:
    grader, program = Echo(3), Echo(9)
    talk = relay(grader, program, 5, None)
    assert (talk.ended, talk.asked) == ("grader", 3)
    assert grader.heard == program.heard == [b"xxxxx"] * 3
    silent = relay(Echo(5), Echo(2), 5, None)
    assert (silent.ended, silent.asked) == ("program", 3)

"""Solve, then grade: what a program can do, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tasks.folders import DOUBLE, build, judged

from evolve.errors import ConfigError
from evolve.plugins import BuildContext, config_class
from evolve.sandbox.base import SandboxProvider
from evolve.tasks.base import Task
from evolve.testing.task_contract import BareProvider, TaskContract

ECHO = "def grade(answer):\n    return {'score': 1, 'feedback': repr(answer)}\n"


class TestContract(TaskContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.root = tmp_path

    def build(self) -> Task:
        return build(self.root, {"grader.py": DOUBLE})


class TestContractInAProcess(TestContract):
    @pytest.fixture(autouse=True)
    def _opened(self, tmp_path: Path) -> Iterator[None]:
        self.sandboxes: SandboxProvider = config_class("sandbox", "process")().build(BuildContext(tmp_path))
        yield
        self.sandboxes.close()

    def provider(self) -> SandboxProvider:
        return self.sandboxes


def test_the_score_is_the_graders_and_other_numbers_are_metrics(tmp_path: Path) -> None:
    grader = """
def grade(answer):
    return {"score": 2 * answer, "spread": 0.5, "ok": True, "note": "n", "feedback": "go on", "artifacts": {"log": "line", "n": 3}}
"""
    evaluation = judged(build(tmp_path, {"grader.py": grader}), "def solve():\n    print('hello')\n    return 21\n")
    assert (evaluation.status, evaluation.score) == ("scored", 42.0)
    assert evaluation.metrics == {"spread": 0.5}
    assert evaluation.feedback == "go on"
    assert evaluation.artifacts == {"log": "line", "n": "3"}
    assert evaluation.stdout == "hello\n"
    assert evaluation.exit_code == 0
    assert [(stage.name, stage.status, stage.score) for stage in evaluation.stages] == [
        ("solve", "scored", None),
        ("grade", "scored", 42.0),
    ]


def test_a_bare_number_is_a_score_and_minimising_does_not_turn_it(tmp_path: Path) -> None:
    task = build(tmp_path, {"grader.py": "def grade(answer):\n    return -answer\n"}, direction="minimize")
    assert task.sheet.direction == "minimize"
    assert judged(task, "def solve():\n    return 3\n").score == -3.0


def test_the_score_may_have_another_name(tmp_path: Path) -> None:
    grader = "def grade(answer):\n    return {'area': answer, 'score': 0}\n"
    evaluation = judged(build(tmp_path, {"grader.py": grader}, score="area"), "def solve():\n    return 3\n")
    assert evaluation.score == 3.0
    assert evaluation.metrics == {"score": 0.0}


@pytest.mark.parametrize(
    ("program", "status", "words"),
    [
        (
            "def solve():\n    return 1 / 0\n",
            "crashed",
            ["exit code 1", "ZeroDivisionError", 'File "initial.py", line 2'],
        ),
        ("import nothing_of_this_name\n", "crashed", ["ModuleNotFoundError", 'File "initial.py", line 1']),
        ("def solve(:\n", "crashed", ["SyntaxError", "line 1"]),
        ("x = 1\n", "crashed", ["initial.py defines no function solve()"]),
        ("def solve():\n    return object()\n", "crashed", ["what solve() returns is no plain data", "not object"]),
        ("def solve():\n    raise MemoryError\n", "out_of_memory", ["MemoryError"]),
        ("import os\nos.kill(os.getpid(), 9)\n", "crashed", ["ended by a signal"]),
        ("import sys\nsys.exit(0)\n", "invalid", ["left no answer.json"]),
        ("import sys\nsys.exit('gave up')\n", "crashed", ["exit code 1", "gave up"]),
        ("def solve():\n    return float('nan')\n", "invalid", ["answer is nan"]),
        ("def solve():\n    return [1, {'x': [float('-inf')]}]\n", "invalid", ["answer[1]['x'][0] is -inf"]),
        ("open('answer.json', 'w').write('{')\nraise SystemExit\n", "invalid", ["answer is not JSON"]),
        ("open('answer.json', 'wb').write(b'\\xff')\nraise SystemExit\n", "invalid", ["answer is not JSON", "utf-8"]),
        ("open('answer.json', 'w').write('1e999')\nraise SystemExit\n", "invalid", ["answer is inf"]),
        ("open('answer.json', 'w').write('{\"a\":1,\"a\":2}')\nraise SystemExit\n", "invalid", ["a key appears twice"]),
        ("import os\nos.mkdir('answer.json')\nraise SystemExit\n", "invalid", ["left no answer.json"]),
    ],
)
def test_a_failing_program_is_a_result_that_names_its_reason(
    tmp_path: Path, program: str, status: str, words: list[str]
) -> None:
    evaluation = judged(build(tmp_path, {"grader.py": DOUBLE}), program)
    assert evaluation.status == status
    for word in words:
        assert word in evaluation.feedback
    assert "candidate.py" not in evaluation.feedback


def test_a_program_that_does_not_end_is_timed_out(tmp_path: Path) -> None:
    task = build(tmp_path, {"grader.py": DOUBLE}, timeout_s=0.3)
    evaluation = judged(task, "while True: pass\n")
    assert (evaluation.status, evaluation.feedback) == ("timed_out", "no end after 0.3 s")


def test_an_answer_too_large_is_not_read(tmp_path: Path) -> None:
    task = build(tmp_path, {"grader.py": ECHO}, answer_mb=0.00098)
    assert judged(task, "def solve():\n    return 'x' * 1000\n").status == "scored"
    evaluation = judged(task, "def solve():\n    return 'x' * 2000\n")
    assert evaluation.status == "invalid"
    assert "at most 0.00098 MB" in evaluation.feedback


@pytest.mark.parametrize(
    ("grader", "words"),
    [
        ("def grade(answer):\n    return answer['x']\n", ["the grader failed: TypeError", "(grader.py, line 2)"]),
        ("def grade(answer):\n    import os\n    os._exit(3)\n", ["the grader failed: exit code 3"]),
        ("def grade(answer):\n    import os\n    os._exit(0)\n", ["the grader failed: it left no verdict"]),
        ("def grade(answer):\n    while True: pass\n", ["the grader failed: no end after 0.3 s"]),
        ("def grade(answer):\n    return {}\n", ["no `combined_score` or `score`", "nothing"]),
        ("def grade(answer):\n    return {'area': 1}\n", ["no `combined_score` or `score`", "area"]),
        ("def grade(answer):\n    return None\n", ["`combined_score` is None, not a finite number"]),
        ("def grade(answer):\n    return True\n", ["`combined_score` is True"]),
        ("def grade(answer):\n    return {'score': float('nan')}\n", ["`score` is nan"]),
        ("def grade(answer):\n    return {'score': float('inf')}\n", ["`score` is inf"]),
        ("def grade(answer):\n    return {'score': 10 ** 400}\n", ["`score` is 1000"]),
        ("def grade(answer):\n    return {'score': '12'}\n", ["`score` is '12'"]),
        ("def grade(answer):\n    return [1]\n", ["`combined_score` is [1]"]),
        (
            "def grade(answer):\n    return {'score': 0.0, 'error': 'overlap 8e-17 of 3 and 7'}\n",
            ["overlap 8e-17 of 3 and 7"],
        ),
        ("def grade(answer):\n    return {'score': 1.0, 'valid': 0}\n", ["calls the answer invalid"]),
    ],
)
def test_without_a_finite_score_a_result_is_invalid(tmp_path: Path, grader: str, words: list[str]) -> None:
    limit = 0.3 if "while" in grader else 60.0
    evaluation = judged(build(tmp_path, {"grader.py": grader}, grade_timeout_s=limit), "def solve():\n    return 1\n")
    assert evaluation.status == "invalid"
    for word in words:
        assert word in evaluation.feedback


@pytest.mark.parametrize("text", ["import nothing_of_this_name\n", "1 / 0\n"])
def test_a_grader_that_does_not_import_is_nobodys_failure(tmp_path: Path, text: str) -> None:
    task = build(tmp_path, {"grader.py": text + DOUBLE})
    with pytest.raises(ConfigError, match=r"task/grader\.py: cannot be imported: \w+Error.*line 1") as caught:
        task.grade(task.sheet.initial, BareProvider())
    assert caught.value.hint


def test_the_grader_has_its_private_files_and_the_program_has_not(tmp_path: Path) -> None:
    grader = """
from pathlib import Path
from helper import factor

def grade(answer):
    secret = int(Path("private/secret.txt").read_text())
    beside = int((Path(__file__).parent / "private" / "secret.txt").read_text())
    return {"score": factor * secret, "same": secret - beside, "feedback": str(answer)}
"""
    files = {
        "grader.py": grader,
        "helper.py": "factor = 2\n",
        "private/secret.txt": "21",
        "private/__pycache__/x.pyc": "x",
    }
    task = build(tmp_path, files, private=["private", "help*.py"])
    look = (
        "import os\ndef solve():\n    return sorted(n for _, d, f in os.walk('.') for n in d + f if 'pyc' not in n)\n"
    )
    evaluation = judged(task, look)
    assert (evaluation.score, evaluation.metrics) == (42.0, {"same": 0.0})
    assert evaluation.feedback == str([".evolve", "candidate.py", "initial.py"])


def test_the_grader_never_meets_the_program(tmp_path: Path) -> None:
    """Another process, another folder, and nothing in it but the answer and the task's own files."""
    grader = """
import os

def grade(answer):
    files = sorted(n for _, _, names in os.walk("..") for n in names if "pyc" not in n)
    return {"score": 1, "apart": float(answer["pid"] != os.getpid() and answer["folder"] != os.getcwd()), "feedback": str(files)}
"""
    program = "import os\ndef solve():\n    return {'pid': os.getpid(), 'folder': os.getcwd()}\n"
    evaluation = judged(build(tmp_path, {"grader.py": grader}), program)
    assert evaluation.metrics == {"apart": 1.0}
    assert evaluation.feedback == str(["answer.json", "grader.py", "grader.py"])


def test_any_language_may_leave_an_answer(tmp_path: Path) -> None:
    files = {"grader.py": DOUBLE, "initial.sh": "echo 4 > out.json"}
    task = build(tmp_path, files, initial="initial.sh", solve=["sh", "initial.sh"], answer="out.json")
    assert judged(task, {"initial.sh": "echo 5 > out.json"}).score == 10.0
    assert "sh initial.sh" in task.sheet.interface
    failed = judged(task, {"initial.sh": "echo no such luck >&2; exit 7"})
    assert (failed.status, failed.feedback) == ("crashed", "exit code 7\nno such luck")


def test_python_in_a_command_is_the_sandboxes_own(tmp_path: Path) -> None:
    task = build(tmp_path, {"grader.py": DOUBLE}, solve=["python", "initial.py"])
    assert judged(task, "open('answer.json', 'w').write('4')\n").score == 8.0


@pytest.mark.parametrize(
    ("answer", "seen"), [("a.txt", "'1,2'"), ("a.csv", "'1,2'"), ("a.npy", "b'1,2'"), ("d/a.json", "12")]
)
def test_the_suffix_of_the_answer_says_how_the_grader_gets_it(tmp_path: Path, answer: str, seen: str) -> None:
    task = build(tmp_path, {"grader.py": ECHO}, answer=answer, solve=["python", "initial.py"])
    text = "12" if answer.endswith("json") else "1,2"
    program = f"import os\nos.makedirs('d', exist_ok=True)\nopen({answer!r}, 'w').write({text!r})\n"
    assert judged(task, program).feedback == seen


def test_a_text_answer_that_is_no_text_is_refused(tmp_path: Path) -> None:
    task = build(tmp_path, {"grader.py": ECHO}, answer="a.txt", solve=["python", "initial.py"])
    evaluation = judged(task, "open('a.txt', 'wb').write(b'\\xff')\n")
    assert evaluation.status == "invalid"
    assert "not UTF-8" in evaluation.feedback


def test_protected_files_are_the_tasks_whatever_a_candidate_says(tmp_path: Path) -> None:
    files = {
        "grader.py": DOUBLE,
        "initial/main.py": "from fixed import solve\n",
        "initial/fixed.py": "def solve():\n    return 1\n",
    }
    (tmp_path / "task").mkdir()
    task = build(tmp_path, files, initial="initial", protected=["fix*"])
    assert task.sheet.protected == {"fixed.py"}
    assert judged(task, {**task.sheet.initial, "fixed.py": "def solve():\n    return 100\n"}).score == 2.0
    assert judged(task, {"main.py": "from fixed import solve\n"}).score == 2.0


def test_arrays_are_plain_data(tmp_path: Path) -> None:
    class_of_arrays = "class A:\n    def tolist(self):\n        return [1, 2]\n"
    evaluation = judged(build(tmp_path, {"grader.py": ECHO}), class_of_arrays + "def solve():\n    return {'a': A()}\n")
    assert evaluation.feedback == "{'a': [1, 2]}"


def test_what_reaches_a_prompt_is_cleaned_and_bounded(tmp_path: Path) -> None:
    noisy = "\x1b[31mred\x1b[0m \x00bell\x07 \u202eabc " + "x" * 10_000
    grader = f"def grade(answer):\n    return {{'score': 1, 'feedback': {noisy!r}, 'artifacts': {{'log\\x1b[1m': {noisy!r}}}}}\n"
    evaluation = judged(
        build(tmp_path, {"grader.py": grader}), f"import sys\ndef solve():\n    sys.stderr.write({noisy!r})\n"
    )
    assert evaluation.status == "scored"
    assert evaluation.feedback.startswith("red bell abc xxx")
    assert len(evaluation.feedback) < 4100
    assert set(evaluation.artifacts) == {"log"}
    assert "\x1b" not in evaluation.stderr


def test_odd_values_of_a_verdict_do_no_harm(tmp_path: Path) -> None:
    grader = """
from decimal import Decimal
from fractions import Fraction

def grade(answer):
    return {"score": Fraction(1, 4), "d": Decimal("0.5"), ("a", 1): 2, 3: 4, "b": b"bytes", "o": object(), "artifacts": [1]}
"""
    evaluation = judged(build(tmp_path, {"grader.py": grader}), "def solve():\n    return 1\n")
    assert (evaluation.score, evaluation.metrics, evaluation.artifacts) == (0.25, {"d": 0.5, "3": 4.0}, {})


def test_a_verdict_left_by_the_program_counts_for_nothing(tmp_path: Path) -> None:
    forged = json.dumps({"returned": {"score": 999}})
    program = f"def solve():\n    open('verdict.json', 'w').write({forged!r})\n    print({forged!r})\n    return 1\n"
    assert judged(build(tmp_path, {"grader.py": DOUBLE}), program).score == 2.0


@pytest.mark.parametrize(
    "paths", [["a/../b"], ["a//b"], ["a\0b"], ["a\ud800"], ["a", "a/b"], ["x" * 201], ["a/" * 16 + "b"], ["."], ["a/"]]
)
def test_files_that_cannot_be_are_the_programs_fault(tmp_path: Path, paths: list[str]) -> None:
    task = build(tmp_path, {"grader.py": DOUBLE})
    evaluation = judged(task, {**task.sheet.initial, **dict.fromkeys(paths, "")})
    assert evaluation.status == "invalid"
    assert "cannot have a file at" in evaluation.feedback


def test_the_driver_cannot_be_replaced(tmp_path: Path) -> None:
    evaluation = judged(build(tmp_path, {"grader.py": DOUBLE}), {"initial.py": "", ".evolve/candidate.py": "x"})
    assert evaluation.status == "invalid"
    assert ".evolve/candidate.py" in evaluation.feedback


def test_the_name_of_the_score_card_is_taken(tmp_path: Path) -> None:
    task = build(tmp_path, {"grader.py": DOUBLE})
    evaluation = judged(task, {**task.sheet.initial, "score.json": "{}"})
    assert (evaluation.status, "score card" in evaluation.feedback) == ("invalid", True)
    assert judged(task, {**task.sheet.initial, "data/score.json": "{}"}).status == "scored"

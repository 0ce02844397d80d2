"""OpenEvolve-style evaluators: accepted as they are, contained, and marked as not isolated."""

from __future__ import annotations

from pathlib import Path

import pytest
from tasks.folders import build, judged

from evolve.errors import ConfigError
from evolve.tasks.base import Task
from evolve.testing.task_contract import BareProvider, TaskContract

IMPORTING = """
import importlib.util

def evaluate(program_path):
    spec = importlib.util.spec_from_file_location("program", program_path)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    return {"combined_score": program.solve(), "speed": 2.0}
"""

CASCADE = """
def evaluate_stage1(program_path):
    return {"combined_score": 0.1 * len(open(program_path).read()), "stage1": 1}

def evaluate_stage2(program_path):
    return {"combined_score": 5.0, "stage2": 1}

def evaluate_stage3(program_path):
    return {"combined_score": 7.0}
"""


class TestContract(TaskContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.root = tmp_path

    def build(self) -> Task:
        return build(self.root, {"evaluator.py": IMPORTING})


def test_the_score_is_marked_as_not_isolated(tmp_path: Path) -> None:
    task = build(tmp_path, {"evaluator.py": IMPORTING})
    assert not task.sheet.isolated
    evaluation = judged(task, "def solve():\n    return 4\n")
    assert (evaluation.score, evaluation.metrics) == (4.0, {"speed": 2.0})
    assert [stage.name for stage in evaluation.stages] == ["evaluate"]


def test_a_result_object_with_artifacts_is_taken_apart(tmp_path: Path) -> None:
    evaluator = """
from openevolve.evaluation_result import EvaluationResult

def evaluate(program_path):
    return EvaluationResult(metrics={"combined_score": 3, "other": 1}, artifacts={"log": "text", "raw": b"bytes"})
"""
    evaluation = judged(build(tmp_path, {"evaluator.py": evaluator}), "")
    assert (evaluation.score, evaluation.metrics) == (3.0, {"other": 1.0})
    assert evaluation.artifacts == {"log": "text", "raw": "bytes"}


def test_a_bare_number_will_do(tmp_path: Path) -> None:
    assert judged(build(tmp_path, {"evaluator.py": "def evaluate(path):\n    return 2\n"}), "").score == 2.0


@pytest.mark.parametrize(
    ("program", "status", "words"),
    [
        ("def solve():\n    return 1 / 0\n", "crashed", ["ZeroDivisionError", "initial.py", "line 2"]),
        ("import os\nos._exit(0)\n", "crashed", ["ended before its verdict"]),
        ("import os\nos._exit(4)\n", "crashed", ["exit code 4"]),
        ("while True: pass\n", "timed_out", ["no end after 0.5 s"]),
        ("def solve():\n    return float('nan')\n", "invalid", ["`combined_score` is nan"]),
        ("def solve():\n    return None\n", "invalid", ["`combined_score` is None"]),
        ("def solve():\n    return True\n", "invalid", ["`combined_score` is True"]),
    ],
)
def test_a_failing_program_is_a_result(tmp_path: Path, program: str, status: str, words: list[str]) -> None:
    limit = 0.5 if "while" in program else 60.0
    evaluation = judged(build(tmp_path, {"evaluator.py": IMPORTING}, timeout_s=limit), program)
    assert evaluation.status == status
    for word in words:
        assert word in evaluation.feedback
    assert "grader.py" not in evaluation.feedback


def test_an_evaluator_that_does_not_import_is_nobodys_failure(tmp_path: Path) -> None:
    task = build(tmp_path, {"evaluator.py": "import nothing_of_this_name\n" + IMPORTING})
    with pytest.raises(ConfigError, match=r"evaluator\.py: cannot be imported: ModuleNotFoundError"):
        task.grade(task.sheet.initial, BareProvider())


def test_a_program_cannot_pretend_that_the_evaluator_is_broken(tmp_path: Path) -> None:
    forged = """
import atexit, json, os
open("../verdict.json", "w").write(json.dumps({"unimportable": "ImportError: gone"}))
os._exit(0)
"""
    evaluation = judged(build(tmp_path, {"evaluator.py": IMPORTING}), forged)
    assert evaluation.status == "crashed"
    assert "ImportError: gone" in evaluation.feedback


@pytest.mark.parametrize(
    ("program", "direction", "thresholds", "stages", "score"),
    [
        ("x" * 4, "maximize", [0.5], 1, 0.4),
        ("x" * 5, "maximize", [0.5], 3, 7.0),
        ("x" * 5, "maximize", [0.5, 6.0], 2, 5.0),
        ("x" * 5, "minimize", [0.5, 6.0], 3, 7.0),
        ("x" * 9, "minimize", [0.5, 6.0], 1, 0.9),
    ],
)
def test_a_stage_that_misses_its_threshold_is_the_last(
    tmp_path: Path, program: str, direction: str, thresholds: list[float], stages: int, score: float
) -> None:
    task = build(tmp_path, {"evaluator.py": CASCADE}, direction=direction, cascade_thresholds=thresholds)
    evaluation = judged(task, program)
    assert evaluation.score == pytest.approx(score)
    assert [stage.name for stage in evaluation.stages] == ["stage1", "stage2", "stage3"][:stages]
    assert ("stopped after stage" in evaluation.feedback) == (stages < 3)
    assert evaluation.metrics.keys() == ({"stage1"} if stages == 1 else {"stage1", "stage2"})


def test_a_stage_without_a_score_is_the_last(tmp_path: Path) -> None:
    evaluator = "def evaluate_stage1(path):\n    return {'error': 'does not run'}\n"
    evaluation = judged(build(tmp_path, {"evaluator.py": evaluator}, cascade_thresholds=[0.5]), "")
    assert evaluation.status == "invalid"
    assert "does not run" in evaluation.feedback


def test_cascade_counts_only_where_thresholds_are_given(tmp_path: Path) -> None:
    evaluator = CASCADE + "\ndef evaluate(path):\n    return {'combined_score': 11}\n"
    assert judged(build(tmp_path, {"evaluator.py": evaluator}), "").score == 11.0

"""A task's folder is checked when the task is built: every problem at once, each with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from tasks.folders import DOUBLE, build

from evolve.errors import ConfigError
from evolve.graph import Objective
from evolve.plugins import BuildContext, config_class
from evolve.tasks.judges import Dialogue, SelfGraded, TwoPhase
from evolve.tasks.program import Config

GRADER = {"grader.py": DOUBLE}
EVALUATOR = {"evaluator.py": "def evaluate(path):\n    return 1\n"}


def test_the_sheet_says_what_the_folder_says(tmp_path: Path) -> None:
    sheet = build(tmp_path, {**GRADER, "task.md": "# Title\r\nDo it.\r\n"}, reference=2.5, timeout_s=7).sheet
    assert sheet.name == "task"
    assert sheet.description == "# Title\nDo it.\n"
    assert sheet.initial == {"initial.py": "def solve():\n    return 1\n"}
    assert (sheet.reference, sheet.timeout_s, sheet.isolated) == (2.5, 7.0, True)
    assert "`solve()`" in sheet.interface


def test_the_kind_is_found_by_name() -> None:
    assert config_class("task", "program") is Config


@pytest.mark.parametrize(
    ("files", "settings", "kind"),
    [
        (GRADER, {}, TwoPhase),
        ({"grader.py": "def interact(candidate):\n    pass\n"}, {}, Dialogue),
        ({"grader.py": "from helper import grade\n"}, {}, TwoPhase),
        ({"grader.py": "interact = print\n"}, {}, Dialogue),
        ({"check.py": DOUBLE}, {"grader": "check.py"}, TwoPhase),
        (EVALUATOR, {}, SelfGraded),
        ({**GRADER, **EVALUATOR}, {"grader": "grader.py"}, TwoPhase),
        ({**GRADER, **EVALUATOR}, {"evaluator": "evaluator.py"}, SelfGraded),
        ({"evaluator.py": "def evaluate_stage1(path):\n    pass\n"}, {"cascade_thresholds": [1]}, SelfGraded),
    ],
)
def test_the_way_of_judging_is_read_from_the_source(
    tmp_path: Path, files: dict[str, str], settings: dict[str, object], kind: type
) -> None:
    assert isinstance(build(tmp_path, files, **settings), kind)


def test_the_grader_is_read_but_not_run(tmp_path: Path) -> None:
    build(tmp_path, {"grader.py": "raise SystemExit('imported')\n" + DOUBLE})


@pytest.mark.parametrize(
    ("files", "settings", "initial", "main"),
    [
        ({"initial.py": "a"}, {}, {"initial.py": "a"}, "initial.py"),
        ({"initial/x.py": "a"}, {}, {"x.py": "a"}, "x.py"),
        ({"initial/main.py": "a", "initial/p/q.py": "b"}, {}, {"main.py": "a", "p/q.py": "b"}, "main.py"),
        ({"initial/a.py": "a", "initial/b.py": "b"}, {"program": "b.py"}, {"a.py": "a", "b.py": "b"}, "b.py"),
        ({"start.py": "a"}, {"initial": "start.py"}, {"start.py": "a"}, "start.py"),
        ({"begin/x.py": "a"}, {"initial": "begin"}, {"x.py": "a"}, "x.py"),
    ],
)
def test_the_initial_program_is_a_file_or_a_folder(
    tmp_path: Path, files: dict[str, str], settings: dict[str, object], initial: dict[str, str], main: str
) -> None:
    task = build(tmp_path, {**GRADER, **files}, **settings)
    assert task.sheet.initial == initial
    assert f"`{main}`" in task.sheet.interface


def test_a_list_names_several_programs_and_the_first_is_the_initial_one(tmp_path: Path) -> None:
    sheet = build(tmp_path, {**GRADER, "b.py": "b", "s/c.py": "c"}, initial=["initial.py", "b.py", "s/c.py"]).sheet
    assert sheet.initial == {"initial.py": "def solve():\n    return 1\n"}
    assert sheet.given == ({"initial.py": "b"}, {"initial.py": "c"})


def test_programs_of_several_files_share_what_one_of_them_leaves_out(tmp_path: Path) -> None:
    files = {"one/main.py": "m", "one/lib.py": "l", "two/main.py": "m2", "two/more.py": "x", "three.py": "m3"}
    sheet = build(tmp_path, {**GRADER, **files}, initial=["one", "two", "three.py"]).sheet
    assert sheet.initial == {"main.py": "m", "lib.py": "l"}
    assert sheet.given == ({"main.py": "m2", "lib.py": "l", "more.py": "x"}, {"main.py": "m3", "lib.py": "l"})


def test_what_is_known_of_scores_is_on_the_sheet(tmp_path: Path) -> None:
    aims = [{"name": "speed"}, {"name": "size", "direction": "minimize"}]
    sheet = build(tmp_path, GRADER, objectives=aims, repeats=4, bound=9, suspicious_spreads=None).sheet
    assert (sheet.repeats, sheet.bound, sheet.suspicious_spreads) == (4, 9.0, None)
    assert sheet.objectives == (Objective("speed", "maximize"), Objective("size", "minimize"))


@pytest.mark.parametrize(
    ("files", "settings", "found"),
    [
        ({}, {}, "no grader.py and no evaluator.py"),
        ({**GRADER, **EVALUATOR}, {}, "both grader.py and evaluator.py"),
        (
            {**GRADER, **EVALUATOR},
            {"grader": "grader.py", "evaluator": "evaluator.py"},
            "both grader.py and evaluator.py",
        ),
        ({}, {"grader": "check.py"}, "check.py: No such file"),
        ({"grader.py": "def grade(:\n"}, {}, "grader.py: invalid syntax"),
        ({"grader.py": "x = '\0'"}, {}, "grader.py: "),
        ({"grader.py": "def score(answer):\n    pass\n"}, {}, "grader.py: defines no grade() and no interact()"),
        ({"grader.py": "def grade(a): pass\ndef interact(c): pass\n"}, {}, "grader.py: defines both"),
        ({"evaluator.py": "x = 1\n"}, {}, "evaluator.py: defines no evaluate()"),
        (EVALUATOR, {"cascade_thresholds": [1]}, "evaluator.py: defines no evaluate_stage1()"),
        (EVALUATOR, {"solve": ["x"]}, "`solve` does nothing with evaluate()"),
        (GRADER, {"cascade_thresholds": [1]}, "`cascade_thresholds` does nothing with grade()"),
        (GRADER, {"ask_timeout_s": 1}, "`ask_timeout_s` does nothing with grade()"),
        ({"grader.py": "def interact(c): pass\n"}, {"answer": "a.txt"}, "`answer` does nothing with interact()"),
        ({**GRADER, "task.md": b"caf\xe9"}, {}, "task.md: byte 3 is not UTF-8"),
        ({**GRADER, "initial.py": b"\xff"}, {}, "initial.py: byte 0 is not UTF-8"),
        (GRADER, {"initial": "start.py"}, "start.py: No such file"),
        (GRADER, {"initial": ["initial.py", "gone.py"]}, "gone.py: No such file"),
        ({**GRADER, "b.py": ""}, {"initial": ["initial.py", "b.py"], "program": "initial.py"}, "initial: a list names"),
        ({**GRADER, "b/main.py": ""}, {"initial": ["initial.py", "b"]}, "initial: b has no initial.py"),
        ({**GRADER, "initial/score.json": "1"}, {}, "initial: a program cannot have a file 'score.json'"),
        (GRADER, {"objectives": [{"name": "a"}]}, "objectives: only one"),
        (GRADER, {"objectives": [{"name": "a"}, {"name": "a"}]}, "objectives: 'a' is there twice"),
        (
            GRADER,
            {"score": "a", "objectives": [{"name": "a", "direction": "minimize"}, {"name": "b"}]},
            "objectives: 'a' is the score and turned the other way",
        ),
        (GRADER, {"initial": "../other.py"}, "initial: a program cannot have a file at '../other.py'"),
        ({**GRADER, "initial/a.py": "", "initial/b.py": ""}, {}, "several initial files (a.py, b.py)"),
        (GRADER, {"program": "main.py"}, "program: no 'main.py' among initial.py"),
        (GRADER, {"program": "initial.py", "solve": ["x"]}, "both `program` and `solve`"),
        (GRADER, {"protected": ["fixed.py"]}, "protected: 'fixed.py' matches none of initial.py"),
        (GRADER, {"private": ["secrets/*"]}, "private: 'secrets/*' matches no file"),
        (GRADER, {"private": ["../*"]}, "private: '../*' leaves the folder"),
        (GRADER, {"answer": "../a.json"}, "answer: '../a.json' leaves the program's folder"),
        (GRADER, {"private": ["/etc/*"]}, "private: '/etc/*' leaves the folder"),
    ],
)
def test_a_problem_is_told_in_one_line_with_what_to_do(
    tmp_path: Path, files: dict[str, str], settings: dict[str, object], found: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        build(tmp_path, files, **settings)
    assert caught.value.message.count("\n") == 0
    assert f"{tmp_path / 'task'}: {found}" in caught.value.message
    assert caught.value.hint


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "task").mkdir()
    with pytest.raises(ConfigError) as caught:
        Config(path=Path("task"), protected=["x"]).build(BuildContext(tmp_path))
    assert [line.split(": ", 1)[1] for line in caught.value.message.splitlines()] == [
        "task.md: No such file or directory",
        "initial.py: No such file or directory",
        "protected: 'x' matches none of initial.py",
        "no grader.py and no evaluator.py",
    ]


def test_an_empty_initial_folder_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "task" / "initial").mkdir(parents=True)
    with pytest.raises(ConfigError, match="initial: no file in it"):
        build(tmp_path, GRADER)


def test_a_missing_folder_is_told_before_anything_else(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere: no such folder"):
        Config(path=Path("nowhere")).build(BuildContext(tmp_path))


@pytest.mark.parametrize(
    "settings",
    [
        {"pth": "."},
        {"timeout_s": 0},
        {"solve": []},
        {"cascade_thresholds": [1, 2, 3]},
        {"repeats": 0},
        {"objectives": [{"name": "a", "direktion": "minimize"}, {"name": "b"}]},
        {"objectives": [{"name": ""}, {"name": "b"}]},
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Config.model_validate({"kind": "program", "path": ".", **settings})


def test_written_out_settings_build_the_same_task(tmp_path: Path) -> None:
    """A run keeps its settings with every default spelt out."""
    build(tmp_path, GRADER)
    aims = [{"name": "a"}, {"name": "b"}]
    full = Config.model_validate({"path": "task", "objectives": aims}).model_dump(mode="json")
    task = Config.model_validate(full).build(BuildContext(tmp_path))
    assert isinstance(task, TwoPhase)
    assert [one.name for one in task.sheet.objectives] == ["a", "b"]

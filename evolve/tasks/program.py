"""A task in a folder: task.md, the initial program, and a grader or an OpenEvolve-style evaluator.

Reads and checks the folder. What judging means is in `judges`; nothing of the task is imported or run here.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, assert_never

from pydantic import BaseModel, Field

from evolve.errors import ConfigError
from evolve.graph import Direction, Objective
from evolve.llm.base import Files
from evolve.plugins import BuildContext, PluginConfig
from evolve.tasks.base import Task, TaskSheet
from evolve.tasks.judges import CANDIDATE_DRIVER, Dialogue, GraderFiles, SelfGraded, TwoPhase, misplaced, unfit
from evolve.tasks.verdict import MAX_METRICS, MAX_NAME

Mode = Literal["grade", "interact", "evaluate"]
"""How a program is judged, named after the function that does it."""


class Aim(BaseModel):
    """One of several objectives."""

    model_config = PluginConfig.model_config

    name: str = Field(min_length=1, max_length=MAX_NAME)
    """The metric."""
    direction: Direction = "maximize"
    """Whether more or less of it is better."""


class Config(PluginConfig):
    """Improve a program that a grader scores. Paths are relative to the task's folder unless said otherwise."""

    kind: Literal["program"] = "program"
    path: Path
    """The task's folder, relative to the job file."""
    initial: str | list[str] | None = None
    """The program to start from: a file, or a folder with all its files. Default: `initial.py`, else the folder `initial`. A list names several programs, of which the first is the one that others are compared with."""
    program: str | None = None
    """Main file of a program with several files; the one that is imported. Default: the only file, else `main.py`."""
    grader: str | None = None
    """Python file with `grade(answer)`, or `interact(candidate)` for a dialogue. Default: `grader.py` if it is there."""
    evaluator: str | None = None
    """Python file with `evaluate(program_path)`, run in one sandbox with the program, so that its score can be forged. Default: `evaluator.py` if it is there."""
    solve: list[str] | None = Field(default=None, min_length=1)
    """Command that runs the program and leaves the answer, e.g. [sh, run.sh]; `python` as first word is the sandbox's own. In a dialogue it reads one JSON line per question and writes one per reply. Default: import the program and call its `solve()` or `decide(message)`."""
    answer: str = "answer.json"
    """File the program leaves. `.json` reaches the grader as data, `.txt`, `.md`, `.csv` and `.tsv` as text, anything else as bytes."""
    private: list[str] = Field(default=["private"])
    """Files and folders that only the grader sees: patterns with * and **."""
    protected: list[str] = Field(default=[])
    """Files of the initial program that no candidate may change: patterns with *."""
    direction: Direction = "maximize"
    """Whether more or less score is better."""
    score: str | None = None
    """Name of the metric that is the score. Default: `combined_score`, else `score`."""
    timeout_s: float = Field(default=60.0, gt=0)
    """Wall time of a program: of its run, of the whole dialogue, or of its whole evaluator."""
    ask_timeout_s: float | None = Field(default=None, gt=0)
    """Most seconds a reply may take in a dialogue, the first excepted (it waits for the program to start); judged when the reply comes."""
    grade_timeout_s: float = Field(default=60.0, gt=0)
    """Wall time of the grader; in a dialogue on top of `timeout_s`."""
    answer_mb: float = Field(default=8.0, gt=0)
    """Largest answer; in a dialogue largest question or reply."""
    cascade_thresholds: list[float] = Field(default=[], max_length=2)
    """`combined_score` needed to go on from an evaluator's `evaluate_stage1` to `evaluate_stage2`, and from that to `evaluate_stage3`. Empty: one call of `evaluate`."""
    reference: float | None = None
    """Best known score; its source belongs into task.md."""
    repeats: int = Field(default=1, ge=1, le=100)
    """Most evaluations of one program, for scores that vary from one to the next: the score is their mean. Only the given programs and those that could still be the best are evaluated more than once."""
    bound: float | None = None
    """Best score there can be. A better one makes a program `invalid`; one that equals it is looked at more closely."""
    suspicious_spreads: float | None = Field(default=10.0, gt=0)
    """A score that beats the best by more than so many interquartile ranges of all scores is evaluated again, and reviewed if there is a reviewer, before it counts. None: no jump is suspicious."""
    objectives: list[Aim] = Field(default=[], max_length=MAX_METRICS)
    """Several aims, each a metric that the grader returns: `[{name: speed, direction: maximize}, ...]`. Best is then what no other program beats in all of them; among those the score decides."""

    def build(self, context: BuildContext) -> Task:
        """Raises ConfigError with every problem of the folder, one a line."""
        root = (context.base_dir / self.path).resolve()
        if not root.is_dir():
            raise ConfigError(
                f"{root}: no such folder", hint="`path` names the task's folder, relative to the job file"
            )
        problems = _Problems(root)
        description = (
            _text(root, "task.md", "write task.md: what is asked, how it is scored, what is known", problems) or ""
        )
        stated = _stated(root, self, problems)
        initial = _program(root, stated[0], problems)
        program = _main_file(initial, self, problems)
        given = tuple(_variant(root, one, initial, program, self, problems) for one in stated[1:])
        protected = _protected(initial, self.protected, problems)
        if misplaced([self.answer]):
            problems.add(f"answer: {self.answer!r} leaves the program's folder", "name a file, e.g. answer.json")
        _check_objectives(self, problems)
        mode, file = _judge(root, self, problems)
        trusted = _trusted(root, file, self, problems)
        problems.raise_if_any()

        sheet = TaskSheet(
            name=root.name,
            description=description,
            direction=self.direction,
            initial=initial,
            given=given,
            protected=protected,
            interface=_interface(mode, program, self),
            isolated=mode != "evaluate",
            timeout_s=self.timeout_s,
            reference=self.reference,
            bound=self.bound,
            suspicious_spreads=self.suspicious_spreads,
            repeats=self.repeats,
            objectives=tuple(Objective(aim.name, aim.direction) for aim in self.objectives),
            grader_digest=_digest(trusted),
        )
        grade_timeout_s = self.timeout_s if mode == "evaluate" else self.grade_timeout_s
        metrics = [aim.name for aim in self.objectives]
        grader = GraderFiles(file, root / file, trusted, self.score, grade_timeout_s, metrics)
        answer_bytes = round(self.answer_mb * 2**20)
        match mode:
            case "grade":
                command = self.solve or ["python", CANDIDATE_DRIVER, "solve", program, self.answer]
                return TwoPhase(sheet, command, self.answer, answer_bytes, grader)
            case "interact":
                command = self.solve or ["python", CANDIDATE_DRIVER, "decide", program]
                return Dialogue(sheet, command, answer_bytes, self.ask_timeout_s, grader)
            case "evaluate":
                return SelfGraded(sheet, program, self.cascade_thresholds, grader)
        assert_never(mode)


_UNUSED: dict[Mode, tuple[str, ...]] = {
    "grade": ("ask_timeout_s", "cascade_thresholds"),
    "interact": ("answer", "cascade_thresholds"),
    "evaluate": ("solve", "answer", "answer_mb", "ask_timeout_s", "grade_timeout_s"),
}
"""Settings that would do nothing; refused unless left at their default."""


class _Problems:
    """Everything that is wrong with a task's folder, told at once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lines: list[str] = []
        self._hints: dict[str, None] = {}

    def add(self, what: str, hint: str) -> None:
        self._lines.append(f"{self._root}: {what}")
        self._hints[hint] = None

    def raise_if_any(self) -> None:
        if self._lines:
            raise ConfigError("\n".join(self._lines), hint="; ".join(self._hints))


def _text(root: Path, path: str, hint: str, problems: _Problems) -> str | None:
    """A file's text with plain line ends; None, and a problem, where there is none."""
    try:
        return (root / path).read_bytes().decode().replace("\r\n", "\n")
    except OSError as error:
        problems.add(f"{path}: {error.strerror}", hint)
    except UnicodeDecodeError as error:
        problems.add(f"{path}: byte {error.start} is not UTF-8", f"save {path} as UTF-8 text")
    return None


def _stated(root: Path, config: Config, problems: _Problems) -> list[str]:
    """File or folder of each program to start from."""
    stated = config.initial or ("initial" if (root / "initial").is_dir() else "initial.py")
    if isinstance(stated, str):
        return [stated]
    if config.program is not None and not (root / stated[0]).is_dir():
        problems.add(
            f"initial: a list names several programs, and {stated[0]} is one of a single file",
            "put a program of several files into a folder, or drop `program`",
        )
    return stated


def _program(root: Path, stated: str, problems: _Problems) -> Files:
    """The program in a file or folder; empty, and a problem, where there is none."""
    hint = "write the initial program, or name it in `initial`"
    base, names = root, [stated]
    if (root / stated).is_dir():
        base = root / stated
        names = [path.relative_to(base).as_posix() for path in _files(base)]
        if not names:
            problems.add(f"{stated}: no file in it", hint)
    if problem := unfit(names):
        problems.add(f"initial: {problem}", "name files inside the task's folder")
        return {}
    return {name: _text(base, name, hint, problems) or "" for name in names}


def _variant(root: Path, stated: str, initial: Files, main: str, config: Config, problems: _Problems) -> Files:
    """A further program to start from. A file stands for the main file; files it does not have are the initial one's."""
    files = _program(root, stated, problems)
    if not (root / stated).is_dir():
        files = dict.fromkeys([main], files.get(stated, ""))
    elif main not in files and config.solve is None:
        problems.add(f"initial: {stated} has no {main}", "give all programs the same main file, or set `program`")
    return {**initial, **files}


def _main_file(initial: Files, config: Config, problems: _Problems) -> str:
    """The file to import. With a `solve` command there is no such thing, and nothing to choose."""
    if config.program is not None and config.program not in initial:
        problems.add(
            f"program: no {config.program!r} among {_listed(initial)}", "`program` is one of the initial files"
        )
    if config.program is not None and config.solve is not None:
        problems.add("both `program` and `solve`", "drop `program`: the command says what is run")
    if config.program is not None:
        return config.program
    if len(initial) > 1 and "main.py" not in initial and config.solve is None:
        problems.add(f"several initial files ({_listed(initial)})", "say in `program` which one is imported")
    return "main.py" if "main.py" in initial else next(iter(initial), "")


def _protected(initial: Files, patterns: Iterable[str], problems: _Problems) -> frozenset[str]:
    found: set[str] = set()
    for pattern in patterns:
        matches = {path for path in initial if fnmatchcase(path, pattern)}
        if not matches:
            problems.add(f"protected: {pattern!r} matches none of {_listed(initial)}", "correct the pattern")
        found |= matches
    return frozenset(found)


def _check_objectives(config: Config, problems: _Problems) -> None:
    names = [aim.name for aim in config.objectives]
    if len(names) == 1:
        problems.add("objectives: only one", "with one aim the score is enough: name that metric in `score`")
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.add(f"objectives: {name!r} is there twice", "name each metric once")
    if config.score in names and config.objectives[names.index(config.score)].direction != config.direction:
        problems.add(f"objectives: {config.score!r} is the score and turned the other way", "give both one `direction`")


def _judge(root: Path, config: Config, problems: _Problems) -> tuple[Mode, str]:
    """How programs are judged and by which file; found by reading, not by importing."""
    grader = config.grader or (_there(root, "grader.py") if config.evaluator is None else None)
    evaluator = config.evaluator or (_there(root, "evaluator.py") if config.grader is None else None)
    if grader and evaluator:
        problems.add(
            f"both {grader} and {evaluator}", "keep one: a grader's score is safe, an evaluator's can be forged"
        )
    if not grader and not evaluator:
        problems.add(
            "no grader.py and no evaluator.py", "write grader.py with `def grade(answer)` that returns the score"
        )
    file = grader or evaluator
    names = _names(root, file, problems) if file else None
    if file is None or names is None:
        return "grade", ""
    mode: Mode = "evaluate" if not grader else "interact" if "interact" in names else "grade"
    wanted = "evaluate_stage1" if config.cascade_thresholds and mode == "evaluate" else mode
    if wanted not in names:
        also = " and no interact()" if mode == "grade" else ""
        problems.add(f"{file}: defines no {wanted}(){also}", f"define {wanted}() at the top level of {file}")
    if mode == "interact" and "grade" in names:
        problems.add(f"{file}: defines both grade() and interact()", "keep one: interact() is for a dialogue")
    for key in _UNUSED[mode]:
        if getattr(config, key) != Config.model_fields[key].default:
            problems.add(f"`{key}` does nothing with {mode}() of {file}", f"drop `{key}`")
    return mode, file


def _there(root: Path, name: str) -> str | None:
    return name if (root / name).exists() else None


def _names(root: Path, file: str, problems: _Problems) -> frozenset[str] | None:
    """What a Python file defines or imports at its top level; None when it cannot be read."""
    text = _text(root, file, f"write {file}, or correct its name", problems)
    if text is None:
        return None
    try:
        tree = ast.parse(text, file)
    except (SyntaxError, ValueError) as error:  # ValueError: null bytes
        problems.add(f"{file}: {error}", f"correct {file}")
        return None
    names: set[str] = set()
    for statement in tree.body:
        match statement:
            case ast.FunctionDef(name=name):
                names.add(name)
            case ast.ImportFrom(names=imported):
                names |= {alias.asname or alias.name for alias in imported}
            case ast.Assign(targets=targets):
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return frozenset(names)


def _trusted(root: Path, file: str, config: Config, problems: _Problems) -> dict[str, bytes]:
    """The grader and the private files, by path."""
    found = {root / file} if (root / file).is_file() else set()
    for pattern in config.private:
        if not pattern or pattern.startswith("/") or ".." in pattern.split("/"):
            problems.add(f"private: {pattern!r} leaves the folder", "name files inside the task's folder")
            continue
        matches = {path for match in root.glob(pattern) for path in ([match] if match.is_file() else _files(match))}
        if not matches and config.private != Config.model_fields["private"].default:
            problems.add(f"private: {pattern!r} matches no file", "correct the pattern")
        found |= matches
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(found)}


def _files(folder: Path) -> list[Path]:
    """All files below a folder, but for Python's caches."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "no files"


def _interface(mode: Mode, program: str, config: Config) -> str:
    """How a program is run, in words for its author."""
    command = " ".join(config.solve or ())
    match mode:
        case "grade" if config.solve:
            return f"The command `{command}` is run and must leave its answer in the file `{config.answer}`."
        case "grade":
            return (
                f"`{program}` is imported and its function `solve()` is called without arguments. What it returns must be "
                f"plain data (numbers, texts, lists, dicts; no NaN, no infinity) and is the answer."
            )
        case "interact" if config.solve:
            return (
                f"The command `{command}` is run. For each line of JSON on its stdin it must write one line of JSON to "
                "its stdout, and flush it."
            )
        case "interact":
            return (
                f"`{program}` is imported and its function `decide(message)` is called once for each message; what it "
                "returns must be plain data and is the reply. Module state lasts for the whole dialogue."
            )
        case "evaluate":
            return f"`evaluate(program_path)` of the task's evaluator is called with the path of `{program}`."
    assert_never(mode)


def _digest(files: Mapping[str, bytes]) -> str:
    whole = hashlib.sha256()
    for path in sorted(files):
        whole.update(f"{path}\n{len(files[path])}\n".encode() + files[path])
    return whole.hexdigest()

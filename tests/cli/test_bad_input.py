"""Two lines, the right exit code, and nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cli.conftest import JOB, Place

from evolve.run.journal import Journal


def told(result: object) -> tuple[int, str, str]:
    """Exit code, error line and hint line; there are no others."""
    *problems, hint = result.stderr.splitlines()  # type: ignore[attr-defined]
    assert problems[0].startswith("error: ")
    assert hint.startswith("hint: ")
    return result.exit_code, "\n".join(problems).removeprefix("error: "), hint.removeprefix("hint: ")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (JOB.replace("steps: 6", "stesp: 6"), "{job}:7: budget.stesp: unknown key; did you mean 'steps'?"),
        (JOB.replace("workers: 1", "workers: many"), "{job}:4: search.workers: should be a valid integer"),
        (JOB.replace("kind: mutation", "kind: mutatoin"), "unknown llm kind 'mutatoin'; did you mean 'mutation'?"),
        (JOB.replace("path: task", "path: elsewhere"), "elsewhere: no such folder"),
        (JOB.replace("{kind: mutation}", "{kind: scripted, path: none.yaml}"), "none.yaml: No such file or directory"),
        (JOB.replace("{workers: 1}", "{operators: [improve]}"), "none of them can open a branch at the root"),
        ("[", "{job}:1: not valid YAML"),
    ],
)
def test_a_wrong_job(place_with: Callable[..., Place], job: str, message: str) -> None:
    place = place_with(job=job)
    code, error, _ = told(place.evolve("run", str(place.job)))
    assert code == 2
    assert message.format(job=place.job) in error
    assert not place.runs.exists()


def test_all_problems_at_once(place_with: Callable[..., Place]) -> None:
    place = place_with(job=JOB.replace("steps: 6", "steps: 0, hour: 1"))
    _, error, hint = told(place.evolve("config", "check", str(place.job)))
    assert len(error.splitlines()) == 2
    assert hint.startswith("correct these 2")


def test_a_missing_job(place: Place) -> None:
    code, error, hint = told(place.evolve("run", "nowhere.yaml"))
    assert (code, error) == (2, "nowhere.yaml: there is no such job file")
    assert "evolve init" in hint


def test_a_missing_key(place_with: Callable[..., Place]) -> None:
    llm = "{kind: openai, model: m, base_url: 'http://192.0.2.1/v1', api_key_env: NO_SUCH_KEY}"
    place = place_with(job=JOB.replace("{kind: mutation}", llm))
    code, error, hint = told(place.evolve("run", str(place.job)))
    assert code == 2
    assert "environment variable NO_SUCH_KEY is not set" in error
    assert "export NO_SUCH_KEY" in hint
    assert not place.runs.exists()


@pytest.mark.parametrize("name", ["../up", ".hidden", "a b", ""])
def test_a_name_that_is_no_name(place: Place, name: str) -> None:
    code, error, _ = told(place.evolve("run", str(place.job), "--name", name))
    assert code == 2
    assert "--name" in error
    assert not place.runs.exists()


def test_a_name_that_is_taken(finished: Place) -> None:
    before = sorted(finished.runs.iterdir())
    code, error, hint = told_last(finished.evolve("run", str(finished.job), "--name", "done"))
    assert code == 3
    assert error.endswith("done: is there already")
    assert "evolve resume done" in hint
    assert sorted(finished.runs.iterdir()) == before


def told_last(result: object) -> tuple[int, str, str]:
    """As `told`, for commands that have said other things before."""
    error, hint = result.stderr.splitlines()[-2:]  # type: ignore[attr-defined]
    return result.exit_code, error.removeprefix("error: "), hint.removeprefix("hint: ")  # type: ignore[attr-defined]


def test_no_such_run(place: Place) -> None:
    for command in (["status"], ["resume"], ["graph"], ["best"], ["stop"], ["config", "show"]):
        code, error, hint = told(place.evolve(*command, "ghost"))
        assert (code, error) == (3, f"'ghost': no run of that name in {place.runs}/")
        assert "evolve ls" in hint


def test_an_ambiguous_name(place: Place) -> None:
    for name in ("exp-1", "exp-2"):
        (place.runs / name).mkdir(parents=True)
        (place.runs / name / "config.yaml").write_text("")
    code, error, hint = told(place.evolve("status", "exp"))
    assert (code, error) == (3, "'exp': 2 runs have that in their name: exp-1, exp-2")
    assert hint == "give more of the name"


def test_a_locked_run(finished: Place) -> None:
    run = finished.runs / "done"
    config = (run / "config.yaml").read_bytes()
    journal = Journal(run / "journal.jsonl")
    try:
        result = finished.evolve("resume", "done", "--set", "budget.steps=99")
        code, error, _ = told_last(result)
        assert code == 3
        assert error.endswith("done: another process is working on this run")
        assert finished.data("status", "done")["stop_reason"] == "running"
    finally:
        journal.close()
    assert (run / "config.yaml").read_bytes() == config


def test_a_journal_damaged_in_the_middle(place: Place, finished: Place) -> None:
    run = place.runs / "hurt"
    run.mkdir(parents=True)
    for name in ("config.yaml", "manifest.json", "journal.jsonl", "timeline.jsonl", "calls.jsonl"):
        (run / name).write_bytes((finished.runs / "done" / name).read_bytes())
    journal = run / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"n1", b"n9")
    journal.write_bytes(b"".join(lines))
    damaged = journal.read_bytes()
    for command in (["status", "hurt"], ["graph", "hurt"], ["resume", "hurt"]):
        result = place.evolve(*command)
        code, error, hint = told_last(result)
        assert (code, f"{journal}:3: " in error) == (3, True)
        assert "head -n 2" in hint
    assert journal.read_bytes() == damaged


def test_texts_that_are_gone(place: Place, finished: Place) -> None:
    run = place.runs / "bare"
    run.mkdir(parents=True)
    for name in ("config.yaml", "manifest.json", "journal.jsonl"):
        (run / name).write_bytes((finished.runs / "done" / name).read_bytes())
    code, error, _ = told(place.evolve("node", "bare", "n2"))
    assert (code, "artifacts.sqlite: cannot be read" in error) == (3, True)


def test_misspelt_commands_and_options(place: Place) -> None:
    assert told(place.evolve("stauts")) == (2, "there is no command 'stauts'", "did you mean `evolve status`?")
    assert told(place.evolve("xyzzy"))[2] == "`evolve --help` lists the commands"
    assert told(place.evolve("run", "job", "--dry-rnu")) == (
        2,
        "evolve run: there is no option --dry-rnu",
        "did you mean --dry-run?",
    )
    code, error, hint = told(place.evolve("run"))
    assert (code, error) == (2, "evolve run: Missing argument 'JOB'.")
    assert hint == "`evolve run --help` shows how it is used"


def test_debug_shows_where_an_error_came_from(place: Place) -> None:
    plain = place.evolve("status", "ghost").stderr
    assert "Traceback" not in plain
    assert place.evolve("--debug", "status", "ghost").stderr.startswith("Traceback")
    assert place.evolve("status", "ghost", env={"EVOLVE_DEBUG": "1"}).stderr.endswith(plain)


def test_an_endpoint_that_is_down(place_with: Callable[..., Place]) -> None:
    llm = "{kind: openai, model: m, base_url: 'http://127.0.0.1:9/v1', retry: {attempts: 1, breaker: 1}}"
    place = place_with(job=JOB.replace("{kind: mutation}", llm))
    result = place.evolve("run", str(place.job), "--name", "down", "--json")
    code, error, _ = told_last(result)
    assert code == 4
    assert "m is given up" in error
    assert f"go on       evolve resume {place.runs / 'down'}\n" in result.stderr
    assert place.data("status", "down")["stop_reason"] == "error"
    assert place.data("status", "down")["in_flight"] == 1


def test_a_grader_that_does_not_import(place: Place, tmp_path: Path) -> None:
    (tmp_path / "task" / "grader.py").write_text("import no_such_module\n\n\ndef grade(answer):\n    return 1\n")
    result = place.evolve("run", str(place.job), "--name", "broken")
    assert result.exit_code in (2, 4)
    assert "no_such_module" in result.stderr
    assert "Traceback (most" not in result.stderr


def test_a_defect_is_told_as_one(
    place_with: Callable[..., Place], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "from evolve.plugins import PluginConfig\n\n\nclass Config(PluginConfig):\n    def build(self, context):\n        1 / 0\n"
    (tmp_path / "oddlab").mkdir()
    (tmp_path / "oddlab" / "task.py").write_text(module)
    monkeypatch.syspath_prepend(str(tmp_path))
    place = place_with(job=JOB.replace("{kind: program, path: task}", "{kind: oddlab.task}"))
    result = place.evolve("run", str(place.job))
    assert result.exit_code == 1
    assert result.stderr.startswith("Traceback")
    assert result.stderr.endswith(
        "error: a defect in evolve: ZeroDivisionError: division by zero\nhint: please report it with the lines above\n"
    )
    assert not place.runs.exists()

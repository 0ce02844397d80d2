"""A claim beside a baseline, with one command that can be stopped and given again."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest
from cli.conftest import JOB, Place, make_place

from evolve.cli.compare import variants
from evolve.errors import ConfigError

VARY = ("--vary", "search.kind=mcgs,best_of_n", "--set", "budget.steps=3")
NAMES = ["toy-mcgs-s1", "toy-best_of_n-s1", "toy-mcgs-s2", "toy-best_of_n-s2"]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Two seeds of two policies, run by one command. Only looked at."""
    place = make_place(tmp_path_factory.mktemp("compared"))
    result = place.evolve("compare", str(place.job), *VARY, "--seeds", "2")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("group ")
    assert [line for line in result.stderr.splitlines() if line.startswith("---")] == [
        f"--- {number} of 4: {name} ---" for number, name in enumerate(NAMES, start=1)
    ]
    return place


def journals(place: Place) -> dict[str, bytes]:
    return {path.name: (path / "journal.jsonl").read_bytes() for path in place.runs.iterdir()}


def test_every_combination_is_run_once(compared: Place) -> None:
    before = journals(compared)
    assert sorted(before) == sorted(NAMES)
    again = compared.evolve("compare", str(compared.job), *VARY, "--seeds", "2")
    assert (again.exit_code, again.stderr) == (0, "")
    assert journals(compared) == before


def test_the_settings_of_a_run_are_those_of_its_name(compared: Place) -> None:
    config = compared.data("config", "show", "toy-best_of_n-s2")
    assert (config["search"]["kind"], config["seed"], config["budget"]["steps"]) == ("best_of_n", 2, 3)


def test_runs_that_are_there_are_compared_as_they_are(compared: Place) -> None:
    data = compared.data("compare", *NAMES)
    assert [(row["label"], row["runs"]) for row in data["rows"]] == [
        ("search.kind=mcgs", 2),
        ("search.kind=best_of_n", 2),
    ]
    assert data["direction"] == "maximize"
    (pairing,) = data["pairings"]
    assert (pairing["pairs"], pairing["verdict"]) == (2, "too few to tell")
    assert data == compared.data("compare", str(compared.job), *VARY, "--seeds", "2")
    text = compared.evolve("compare", *NAMES).stdout
    assert "search.kind=mcgs against\n" in text


def test_a_target_of_ones_own(compared: Place) -> None:
    data = compared.data("compare", *NAMES, "--target", "0.5")
    assert data["target"] == 0.5
    assert [(row["to_target"], row["reached"]) for row in data["rows"]] == [(1, 2), (1, 2)]


def test_an_interrupted_run_is_resumed(place: Place) -> None:
    vary = ("--vary", "search.kind=mcgs", "--seeds", "1", "--set", "budget.steps=4")
    assert place.evolve("compare", str(place.job), *vary).exit_code == 0
    (folder,) = place.runs.iterdir()
    whole = (folder / "journal.jsonl").read_bytes()
    (folder / "journal.jsonl").write_bytes(b"".join(whole.splitlines(keepends=True)[:4]))
    (folder / "timeline.jsonl").unlink()
    result = place.evolve("compare", str(place.job), *vary)
    assert result.exit_code == 0, result.output
    assert "--- 1 of 1: toy-mcgs-s1 ---\n" in result.stderr
    assert (folder / "journal.jsonl").read_bytes() == whole


def test_an_interrupt_ends_the_comparison_and_not_only_its_run(place_with: Callable[..., Place]) -> None:
    place = place_with(job=JOB.replace("{kind: mutation}", "{kind: manual, poll_s: 0.02}"))
    process = place.process("compare", str(place.job), *VARY, "--seeds", "1")
    assert process.stderr is not None
    assert any("waits for a reply" in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    assert any("once more to stop now" in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate()
    assert (process.returncode, stdout) == (130, "")
    assert [path.name for path in place.runs.iterdir()] == ["toy-mcgs-s1"]


def test_a_run_of_that_name_with_other_settings_is_not_taken_for_it(compared: Place) -> None:
    before = journals(compared)
    result = compared.evolve("compare", str(compared.job), *VARY, "--set", "budget.steps=4", "--seeds", "3")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {compared.runs}/toy-mcgs-s1: was run with other settings: budget.steps\n")
    assert journals(compared) == before


def test_several_keys_are_combined_and_brackets_kept_whole(place: Place) -> None:
    vary = ("search.operators=[draft],[draft, improve]", "memory.kind='none',fixes")
    found = variants(place.job, vary, 1, ("seed=9",))
    assert [variant.name for variant in found] == [
        "toy-draft-none-s1",
        "toy-draft-fixes-s1",
        "toy-draft-improve-none-s1",
        "toy-draft-improve-fixes-s1",
    ]
    assert found[2].overrides == ("seed=9", "search.operators=[draft, improve]", "memory.kind='none'", "seed=1")


@pytest.mark.parametrize("values", ["a b,a-b", "x" * 64])
def test_names_must_differ_and_be_short(place: Place, values: str) -> None:
    with pytest.raises(ConfigError, match="no short and different names"):
        variants(place.job, (f"search.kind={values}",), 1, ())


def test_a_wrong_value_is_told_before_anything_runs(place: Place) -> None:
    result = place.evolve("compare", str(place.job), "--vary", "search.kind=mcgs,mcsg", "--seeds", "1")
    assert result.exit_code == 2
    assert "unknown search kind 'mcsg'" in result.stderr
    assert not place.runs.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("JOB",), "is no run; to run it with several settings, name them with --vary"),
        (("a", "--seeds", "3"), "--seeds and --set are for --vary"),
        (("JOB", "JOB", "--vary", "seed=1,2"), "--vary takes one job file"),
        (("JOB", "--vary", "search.kind"), "not of the form KEY=VALUE,VALUE"),
        (("JOB", "--vary", "search.kind=mcgs,"), "not of the form KEY=VALUE,VALUE"),
        ((), "Missing argument 'RUN...|JOB'"),
    ],
)
def test_arguments_that_do_not_fit_together(place: Place, arguments: tuple[str, ...], message: str) -> None:
    result = place.evolve("compare", *(str(place.job) if word == "JOB" else word for word in arguments))
    assert result.exit_code == 2
    assert message in result.stderr

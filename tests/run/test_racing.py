"""Scores that vary: what a race spends, and that luck does not win it."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean

import pytest
from run.test_engine import graph_of, work
from search.simulation import Simulation

from evolve.errors import ConfigError
from evolve.events import RunStarted
from evolve.graph import Expansion, Objective, SearchGraph
from evolve.jobfile import load_job
from evolve.run import rundir, session
from evolve.run.grading import Standing, grade
from evolve.run.journal import read_journal
from evolve.run.rundir import RunDir
from evolve.search.planner import INITIAL, Outcome
from evolve.search.policies import mcgs
from evolve.tasks.base import Evaluation, TaskSheet

NOISE = 1.0
SHEET = TaskSheet("noisy", "More.", "maximize", {"p.py": ""}, repeats=5)
SEEDS = range(12)
STEPS = 40


@dataclass
class Stochastic:
    """Programs that are worth something, and are told so with noise."""

    seed: int
    sheet: TaskSheet
    always: bool = False
    """Evaluate every program as often as can be."""
    evaluations: int = 0
    worth: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.simulation = Simulation(mcgs.Config(), self.seed)
        self.simulation.run(STEPS, self.judge)

    @property
    def best_worth(self) -> float:
        best = self.simulation.graph.best
        assert best is not None
        return self.worth[best.id]

    def judge(self, expansion: Expansion) -> Outcome:
        rng = random.Random(f"{self.seed}/{expansion.id}")
        # Most changes lead nowhere, and all programs of a run lie close together, compared with the noise.
        worth = self.worth[expansion.id] = rng.gauss(0, 0.5 * NOISE)
        graph = self.simulation.graph
        best = graph.nodes[expansion.best_id] if expansion.best_id else None
        standing = Standing(best.score if best else None, expansion.noise, graph.spread)
        in_full = self.always or expansion.operator == INITIAL
        graded = grade(lambda: self.evaluation(worth, rng), self.sheet, standing, in_full=in_full)
        return Outcome(
            graded.evaluation.status,
            "works",
            graded.evaluation.score,
            evaluations=graded.evaluations,
            error=graded.error,
            suspicion=graded.suspicion,
        )

    def evaluation(self, worth: float, rng: random.Random) -> Evaluation:
        self.evaluations += 1
        return Evaluation("scored", rng.gauss(worth, NOISE))


def several(sheet: TaskSheet, *, always: bool = False) -> list[Stochastic]:
    return [Stochastic(seed, sheet, always) for seed in SEEDS]


def test_a_race_costs_less_than_repeating_always_and_finds_as_much() -> None:
    raced, always = several(SHEET), several(SHEET, always=True)
    assert all(one.evaluations == 5 * STEPS for one in always)
    assert mean(one.evaluations for one in raced) < 0.7 * 5 * STEPS
    assert all(one.evaluations < 5 * STEPS for one in raced)
    assert mean(one.best_worth for one in raced) > mean(one.best_worth for one in always) - 0.1 * NOISE


def test_luck_overstates_the_best_of_single_evaluations_and_not_that_of_a_race() -> None:
    def overstated(run: Stochastic) -> float:
        best = run.simulation.graph.best
        assert best is not None
        assert best.score is not None
        return best.score - run.worth[best.id]

    single = mean(map(overstated, several(replace(SHEET, repeats=1))))
    raced = mean(map(overstated, several(SHEET)))
    assert single > 1.5 * NOISE
    assert raced < 0.7 * NOISE


def test_the_noise_is_known_from_the_start_and_pooled() -> None:
    run = Stochastic(3, SHEET)
    graph = run.simulation.graph
    first = graph.nodes["n1"]
    assert first.evaluations == 5
    assert first.error is not None
    assert graph.expansions["n2"].noise == pytest.approx(first.error * 5**0.5)
    assert graph.noise == pytest.approx(NOISE, rel=0.2)


def start(folder: Path, lines: list[str], task: str, *settings: str, reviewer: str | None = None) -> RunDir:
    """A run of the noisy task with one worker."""
    path = folder / "job.yaml"
    coder = json.dumps({"kind": "run.fake_llm", "lines": lines})
    review = ""
    if reviewer is not None:
        (folder / "review.yaml").write_text(
            json.dumps([{"match": "looked into", "text": reviewer}, {"match": ".", "text": "LGTM"}])
        )
        review = f", reviewer: {{kind: scripted, path: {folder / 'review.yaml'}}}"
    path.write_text(
        f"name: noisy\ntask: {{kind: run.noisy_task, {task}}}\nsandbox: process\nsearch: {{workers: 1}}\n"
        f"llm: {{coder: {coder}{review}}}\n"
    )
    job = load_job(path, [f"budget.steps={len(lines) + 1}", *settings])
    return rundir.create(folder / "runs", "noisy", job, session.manifest_facts(session.build_parts(job)))


LUCKY = "draws = [14, 9, 10, 9, 8]"
HOPELESS = "draws = [5, 14]"
BETTER = "draws = [13, 14, 13, 13, 14]"


def test_a_lucky_first_evaluation_does_not_make_the_best(tmp_path: Path) -> None:
    run = start(tmp_path, [LUCKY, HOPELESS, BETTER], "repeats: 5")
    assert work(run) == "steps"
    graph = graph_of(run)
    assert [(node.evaluations, node.score) for node in graph.nodes.values()] == [(5, 10), (5, 10), (1, 5), (5, 13.4)]
    assert graph.best is not None
    assert graph.best.id == "n4"
    stopped = SearchGraph.fold(list(read_journal(run.journal))[:9])
    assert list(stopped.nodes) == ["n1", "n2"]
    assert stopped.best is not None
    assert stopped.best.id == "n1"


def test_without_repeats_it_does(tmp_path: Path) -> None:
    run = start(tmp_path, [LUCKY, HOPELESS], "repeats: 1")
    work(run)
    best = graph_of(run).best
    assert best is not None
    assert (best.id, best.score, best.error) == ("n2", 14, None)


def test_a_bad_day_is_a_failure(tmp_path: Path) -> None:
    run = start(tmp_path, ["draws = [20, 21, None]"], "repeats: 5")
    work(run)
    node = graph_of(run).nodes["n2"]
    assert (node.status, node.score, node.evaluations) == ("crashed", None, 3)


LINES = [LUCKY, BETTER, HOPELESS, *(f"draws = [{10 + n % 4}, {13 - n % 3}, 12]" for n in range(6))]


@pytest.mark.parametrize("commits", [1, 2, 4, 9, 14])
def test_a_race_that_was_killed_goes_on_as_if_it_had_never_been(tmp_path: Path, commits: int) -> None:
    run = start(tmp_path, LINES, "repeats: 3")
    work(run)
    whole = run.journal.read_bytes()
    run.journal.write_bytes(b"".join(whole.splitlines(keepends=True)[:commits]))
    assert work(run) == "steps"
    assert run.journal.read_bytes() == whole


SPREAD = [f"score = {n}" for n in range(2, 11)]


def test_a_jump_is_reproduced_before_it_counts(tmp_path: Path) -> None:
    lines = [*SPREAD, "draws = [500, 500]", "draws = [99999, 20]"]
    run = start(tmp_path, lines, 'initial: ["score = 1"]')
    work(run)
    graph = graph_of(run)
    true, luck = graph.nodes["n11"], graph.nodes["n12"]
    assert (true.status, true.score) == ("scored", 500)
    assert true.suspicion is not None
    assert true.suspicion.endswith("spreads; reproduced")
    assert (luck.status, luck.suspicion and luck.suspicion.endswith("; not reproduced")) == ("invalid", True)
    assert graph.best is true
    assert "regrade" in run.timeline.read_text()


@pytest.mark.parametrize(
    ("reply", "status", "suspicion"),
    [
        ("FAKE: it states a number", "invalid", "judged a fake"),
        ("GENUINE", "scored", "reviewed"),
        ("Well.", "scored", "the review gave no verdict"),
    ],
)
def test_a_reviewer_is_asked_about_a_jump(tmp_path: Path, reply: str, status: str, suspicion: str) -> None:
    run = start(tmp_path, [*SPREAD, "score = 500"], 'initial: ["score = 1"]', reviewer=reply)
    work(run)
    graph = graph_of(run)
    node = graph.nodes["n11"]
    assert (node.status, node.suspicion and node.suspicion.rpartition("; ")[2]) == (status, suspicion)
    assert node.cost.calls == 4, "plan, program, review of the program, review of its score"
    assert graph.best is not None
    assert (graph.best is node) == (status == "scored")
    assert sum('"n11/integrity/1"' in line for line in run.calls.read_text().splitlines()) == 1


def test_an_impossible_score_never_counts(tmp_path: Path) -> None:
    run = start(tmp_path, ["score = 40", "score = 41"], 'initial: ["score = 1"], bound: 40')
    work(run)
    assert [(node.status, node.suspicion) for node in graph_of(run).nodes.values()] == [
        ("scored", None),
        ("scored", "equals the bound 40; reproduced"),
        ("invalid", "41 beats 40, the best score there can be"),
    ]


def test_several_programs_to_start_from_are_judged_first_and_in_full(tmp_path: Path) -> None:
    task = 'repeats: 2, initial: ["draws = [3, 5]", "draws = [1, 2]", "draws = [9, 7]"]'
    run = start(tmp_path, ["score = 1", "score = 2", "score = 3"], task)
    work(run)
    events = list(read_journal(run.journal))
    assert isinstance(events[0], RunStarted)
    assert events[0].given == 3
    graph = graph_of(run)
    judged = list(graph.nodes.values())
    assert [(node.operator, node.score, node.evaluations) for node in judged[:3]] == [
        ("initial", 4, 2),
        ("initial", 1.5, 2),
        ("initial", 8, 2),
    ]
    assert [graph.expansions[node.id].given for node in judged] == [0, 1, 2, None]


def test_several_objectives_reach_the_graph(tmp_path: Path) -> None:
    lines = ["speed = 5; lightness = 1; score = 1", "speed = 1; lightness = 1; score = 9"]
    task = 'initial: ["speed = 1; lightness = 5; score = 3"], objectives: [speed, lightness]'
    run = start(tmp_path, lines, task)
    work(run)
    graph = graph_of(run)
    assert graph.objectives == (Objective("speed", "maximize"), Objective("lightness", "maximize"))
    assert set(graph.fronts.front()) == {"n1", "n2"}
    assert graph.best is not None
    assert graph.best.id == "n1", "the dominated one has the best score and is not the best"


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        ("# EVOLVE-BLOCK-START\nscore = 2\n# EVOLVE-BLOCK-END\nx = 1\n", "outside the EVOLVE-BLOCK markers"),
        ("score = 2\n", "must keep its 1 pair"),
    ],
)
def test_given_programs_are_held_to_what_candidates_are_held_to(tmp_path: Path, program: str, problem: str) -> None:
    own = "# EVOLVE-BLOCK-START\nscore = 1\n# EVOLVE-BLOCK-END\n"
    with pytest.raises(ConfigError, match=f"program 2 of `initial` .*{problem}"):
        start(tmp_path, ["score = 1"], f"initial: {json.dumps([own, program])}")

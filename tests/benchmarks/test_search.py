"""The comparison itself: repeatable, within its budget, and with an author that knows no more than the prompt says."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from benchmarks.search import report, statistics
from benchmarks.search.landscape import SPECS, Landscape
from benchmarks.search.policies import ENTRANTS, OURS
from benchmarks.search.proposer import FILE
from benchmarks.search.run import TARGETS, calibrated, raw
from benchmarks.search.trial import CALLS, Search, Trial, run
from evolve.agent import strategist
from evolve.agent.brief import Brief
from evolve.config import AgentConfig
from evolve.llm.base import Reply, Request
from evolve.prompts import Prompts, number
from evolve.search.planner import INITIAL

PLAN = '{"hypothesis": "h", "why": "w", "changes": [{"where": "m0", "what": "x"}], "keep": "", "predicted_gain": null}'


class Listener:
    """A model that keeps what it was asked."""

    def __init__(self) -> None:
        self.heard = ""

    def complete(self, request: Request) -> Reply:
        self.heard = "\n".join(message.content for message in request.messages)
        return Reply(PLAN, "listener")


def prompt(brief: Brief) -> str:
    """What the real strategist sends for it."""
    listener = Listener()
    strategist.plan(brief, listener, Prompts(), AgentConfig())
    return listener.heard


def used(brief: Brief) -> list[str]:
    """Every fact that the scripted author reads, as a prompt has to word it."""
    facts = []
    for one in (brief.parent, *brief.references):
        if one:
            facts += [one.node_id if one.role != "parent" else one.title, one.files[FILE].strip(), one.stderr]
            facts += [number(one.score)] if one.score is not None else [one.status]
    for attempt in brief.attempts:
        result = attempt.status if attempt.score is None else number(attempt.score)
        facts.append(f"{attempt.title} -> {result}")
        facts += [number(abs(attempt.gain))] if attempt.gain is not None else []
    facts += [one.title for one in brief.trajectory]
    facts += [f"{one.title} -> {one.status}" for one in brief.experiences]
    facts += [one.lesson for one in brief.experiences]
    return facts


@pytest.mark.parametrize(
    ("entrant", "operators", "roles"),
    [
        (OURS, {"draft", "improve", "debug", "evolve", "fuse", "aggregate"}, {"trajectory", "fusion", "aggregation"}),
        ("greedy (AIDE)", {"draft", "improve", "debug"}, set()),
        ("greedy + our agents and memory", {"draft", "improve", "debug"}, set()),
        ("islands (OpenEvolve)", {"improve"}, {"inspiration"}),
    ],
)
def test_the_author_knows_only_what_the_prompt_says(entrant: str, operators: set[str], roles: set[str]) -> None:
    impatient = replace(ENTRANTS[OURS], search={"kind": "mcgs", "patience": 3})
    taking_part = {**ENTRANTS, OURS: impatient}
    told: Counter[tuple[str, bool]] = Counter()
    read: set[str] = set()
    for seed in range(10):
        search = Search(taking_part[entrant], Landscape("crashy", seed), seed)
        for step in range(100):
            expansion = search.expand(step / 100)
            brief = search.world.brief(search.graph, expansion, search.memory)
            sort = (expansion.operator, bool(brief.references))
            if expansion.operator != INITIAL and told[sort] < 5:
                text = prompt(brief)
                assert [fact for fact in used(brief) if fact not in text] == []
                told[sort] += 1
                read |= {one.role for one in brief.references}
            search.settle(expansion, search.world.roll_out(brief))
        fired = {operator for operator, _ in told}
        if operators <= fired and roles <= read:
            break
    assert (fired, read) == (operators, roles)


@pytest.mark.parametrize(
    ("entrant", "gains", "way"),
    [
        ("greedy (AIDE)", False, False),
        ("islands (OpenEvolve)", True, False),
        ("greedy + our agents and memory", True, True),
    ],
)
def test_what_authors_hear_of_attempts(entrant: str, gains: bool, way: bool) -> None:
    search = Search(ENTRANTS[entrant], Landscape("additive", 0), 0)
    briefs = []
    for step in range(40):
        expansion = search.expand(step / 40)
        briefs.append(search.world.brief(search.graph, expansion, search.memory))
        search.settle(expansion, search.world.roll_out(briefs[-1]))
    attempts = [attempt for brief in briefs for attempt in brief.attempts]
    assert attempts
    assert any(attempt.gain is not None for attempt in attempts) == gains
    assert any(brief.trajectory for brief in briefs) == way
    assert all({*brief.attempts}.isdisjoint(brief.trajectory) for brief in briefs)


def test_a_repair_is_told_of_earlier_ones_by_memory_alone() -> None:
    def recalled(entrant: str) -> int:
        search = Search(ENTRANTS[entrant], Landscape("crashy", 0), 0)
        found = 0
        for step in range(100):
            expansion = search.expand(step / 100)
            found += len(expansion.recalled)
            search.settle(expansion, search.world.roll_out(search.world.brief(search.graph, expansion, search.memory)))
        return found

    assert recalled("greedy (AIDE)") == 0
    assert recalled("greedy + our agents and memory") > 0


def test_the_author_does_the_same_for_the_same_brief() -> None:
    search = Search(ENTRANTS[OURS], Landscape("interacting", 0), 0)
    for step in range(40):
        expansion = search.expand(step / 40)
        brief = search.world.brief(search.graph, expansion, search.memory)
        if expansion.operator != INITIAL:
            written = [search.world.author.write(brief, random.Random(step)) for _ in range(2)]
            assert written[0] == written[1]
        search.settle(expansion, search.world.roll_out(brief))


@pytest.mark.parametrize("entrant", ENTRANTS)
def test_a_trial_repeats_and_keeps_to_its_budget(entrant: str) -> None:
    first, second = (run(ENTRANTS[entrant], "noisy", 3, 40) for _ in range(2))
    assert first == second
    written = sum(first.statuses.values()) - first.operators[INITIAL]
    assert first.operators[INITIAL] == 1
    assert 0 < written <= 40
    assert all(used <= 40 + 2 / CALLS for used, _, _ in first.gains)


def test_what_is_read_off_a_trial() -> None:
    trial = Trial([(0.0, 0, 0.0), (10.0, 8, 0.5), (30.0, 25, 0.8)])
    assert trial.steps_to(0.5) == 10
    assert trial.steps_to(0.9) is None
    assert (trial.evaluations_to(0.5), trial.evaluations_to(0.9)) == (8, None)
    assert (trial.at(9), trial.at(10), trial.at(40)) == (0, 0.5, 0.8)
    assert trial.area(40) == pytest.approx((20 * 0.5 + 10 * 0.8) / 40)


def test_seeds_are_compared_in_pairs() -> None:
    easy_and_hard = [10.0, 100.0, 20.0, 150.0] * 5
    half = [cost / 2 for cost in easy_and_hard]
    found = statistics.ratio(half, easy_and_hard)
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))
    alone = statistics.mean(easy_and_hard)
    assert alone.low < alone.value == 70 < alone.high


def test_landscapes_are_summed_up_by_their_median() -> None:
    base = [[10.0, 20.0, 60.0, 30.0] * 5] * 3
    mine = [[cost * factor for cost in costs] for costs, factor in zip(base, (0.5, 2.0, 9.0), strict=True)]
    found = statistics.median_ratio(mine, base)
    assert (found.value, found.low, found.high) == pytest.approx((2, 2, 2))
    uneven = statistics.median_ratio([[10.0, 40.0] * 10] * 3, [[20.0, 20.0] * 10] * 3)
    assert uneven.low < uneven.value == 1.25 < uneven.high


def results() -> report.Results:
    def trial(*gains: tuple[float, float]) -> Trial:
        return Trial([(0.0, 0, 0.0), *((used, round(used), score) for used, score in gains)], Counter(scored=100))

    trials = {"additive": {"ours": [trial((20.0, 0.9))] * 3, "peer": [trial((40.0, 0.9))] * 3, "worse": [trial()] * 3}}
    return report.Results(trials, {"additive": 0.9}, 100, ["peer", "worse"])


def test_a_run_that_never_arrives_costs_the_whole_budget() -> None:
    assert results().costs("additive", "worse") == [100, 100, 100]
    assert results().reached("additive", "worse") == 0


def test_ours_is_held_against_the_best_baseline() -> None:
    assert results().best_baseline("additive") == "peer"
    assert "| ours | 0.50 | 0.50 | 0.50 |" in report.summary(results())
    assert "| worse | 100 (100 to 100) | 0% | 2.50 (2.50 to 2.50) |" in report.document(results(), "ours")


def test_a_difference_beyond_chance_is_named() -> None:
    table = report.against(results(), "peer")
    assert "| ours | 0.50 (0.50 to 0.50) |  | additive |" in table
    assert "| worse | 2.50 (2.50 to 2.50) | additive |  |" in table
    assert "against peer" in report.document(results(), "peer")
    assert "against absent" not in report.document(results(), "absent")


def test_the_raw_trials_can_be_read_again() -> None:
    read = json.loads(raw(results().trials))
    assert read["additive"]["ours"][0] == {
        "gains": [[0.0, 0, 0.0], [20.0, 20, 0.9]],
        "statuses": {"scored": 100},
        "operators": {},
        "breadth": 0.0,
    }


def test_the_plot_is_an_image_with_a_line_an_entrant() -> None:
    drawn = ElementTree.fromstring(report.plot(results(), ["ours", "peer"]))
    assert len([path for path in drawn.iter("{http://www.w3.org/2000/svg}path") if path.get("fill") == "none"]) == 2


def test_the_target_is_what_the_best_reaches_in_half_the_budget() -> None:
    assert calibrated(results().trials, 100) == {"additive": 0.9}
    assert calibrated(results().trials, 60) == {"additive": 0.9}
    assert calibrated({"additive": {"peer": results().trials["additive"]["peer"]}}, 60) == {"additive": 0.0}


def test_every_landscape_has_a_target() -> None:
    assert set(TARGETS) == set(SPECS)

"""The made-up tasks: their optimum is one, and they are hard in the way their names say."""

from __future__ import annotations

import random
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.search.landscape import SPECS, Factor, Landscape, Program, maximum
from benchmarks.search.proposer import parse, text


@given(seed=st.integers(0, 10_000), modules=st.integers(1, 5), options=st.integers(1, 4))
def test_the_maximum_is_that_of_trying_every_program(seed: int, modules: int, options: int) -> None:
    rng = random.Random(seed)
    scopes = [tuple(sorted(rng.sample(range(modules), rng.randint(1, min(3, modules))))) for _ in range(6)]
    factors = [
        Factor(scope, {one: rng.gauss(0, 1) for one in product(range(options), repeat=len(scope))}) for scope in scopes
    ]
    every = product(range(options), repeat=modules)
    best = max(sum(factor.table[tuple(one[at] for at in factor.scope)] for factor in factors) for one in every)
    assert maximum(options, modules, factors) == pytest.approx(best)


@pytest.mark.parametrize("name", SPECS)
def test_the_initial_program_works_and_has_zero_and_nothing_has_more_than_one(name: str) -> None:
    for seed in range(5):
        land = Landscape(name, seed)
        initial = (0,) * land.spec.modules
        assert land.true_score(initial) == 0
        assert land.fault(Program(initial)) is None
        rng = random.Random(seed)
        drawn = [tuple(rng.randrange(land.spec.options) for _ in initial) for _ in range(300)]
        assert max(map(land.true_score, drawn)) <= 1


def test_the_optimum_of_a_small_landscape_is_one() -> None:
    land = Landscape("easy", 3)
    every = product(range(land.spec.options), repeat=land.spec.modules)
    assert max(map(land.true_score, every)) == 1


def climbed(land: Landscape, choices: tuple[int, ...], modules: range) -> tuple[int, ...]:
    """Each of these modules at its best, one after another; exact where they do not interact with each other."""
    for module in modules:
        options = ((*choices[:module], option, *choices[module + 1 :]) for option in range(land.spec.options))
        choices = max(options, key=land.true_score)
    return choices


@pytest.mark.parametrize("seed", range(20))
def test_the_best_approach_looks_poor_and_is_not_reached_by_one_change(seed: int) -> None:
    land = Landscape("deceptive", seed)
    others = range(1, land.spec.modules)
    tuned = [climbed(land, (approach,) + (0,) * len(others), others) for approach in range(land.spec.options)]
    best = max(tuned, key=land.true_score)
    appeal = land.average_effects()[0]
    decoy = tuned[appeal.index(max(appeal))]
    assert land.true_score(best) == 1
    assert decoy != best
    assert land.true_score((best[0], *decoy[1:])) < land.true_score(decoy) < 1


def test_steps_of_a_tenth() -> None:
    land = Landscape("needle", 0)
    rng = random.Random(0)
    scores = {land.true_score(tuple(rng.randrange(6) for _ in range(8))) for _ in range(500)}
    assert all(score * 10 == pytest.approx(round(score * 10)) for score in scores)
    assert len(scores) > 3


def test_a_trap_crashes_until_the_right_adapter_is_written() -> None:
    land = Landscape("crashy", 0)
    (i, a, j, b), kind = next(iter(land.traps.items()))
    choices = [0] * land.spec.modules
    choices[i], choices[j] = a, b
    found = land.fault(Program(tuple(choices)))
    assert found is not None
    wrong = Program(tuple(choices), patches=frozenset({(found.place, (land.remedies[found.kind] + 1) % 5)}))
    right = Program(tuple(choices), patches=frozenset({(found.place, land.remedies[found.kind])}))
    assert land.fault(wrong) == found
    assert land.fault(right) != found
    assert kind in range(len(land.remedies))


def test_a_bug_crashes_until_it_is_mended() -> None:
    land = Landscape("additive", 0)
    program = Program((0,) * 8, bugs=((3, 7),))
    found = land.fault(program)
    assert found is not None
    assert found.message == "E7 at m3"
    assert land.fault(Program(program.choices, program.bugs, frozenset({("m3", land.remedies[7])}))) is None


PROGRAMS = st.builds(
    Program,
    st.lists(st.integers(0, 5), min_size=1, max_size=16).map(tuple),
    st.dictionaries(st.just(0), st.integers(0, 11)).map(lambda bugs: tuple(bugs.items())),
    st.frozensets(st.tuples(st.sampled_from(["m0", "m3=1+m5=2"]), st.integers(0, 4))),
)


@given(PROGRAMS)
def test_a_program_is_what_its_text_says(program: Program) -> None:
    assert parse(text(program)) == program

"""Each way of changing a program, one at a time."""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.llm import mutators
from evolve.llm.mutators import Crossover, Move, Mutator
from evolve.llm.sites import Program, editable_lines, parse, parse_tree, same_program

PROGRAM = '''\
import numpy as np

WEIGHTS = [1, -2.5, 3e-1]
TABLE = [
    (1, 0.5, 0.0),
    (8, 0.5, 0.3),
    (16, -0.5, 0.7),
]
RAGGED = [[1, 2.0], [3, 4.0, 5], [6]]
COUNTS = (4, 5, 6)


def place(n, size=0.3):
    """Größe"""
    grid = np.zeros((n, 2))
    for i in range(n):
        grid[i] = [0.5 + size * np.cos(i / n), 0.5 * i]
    for i in range(0, n * 2):
        grid[0, 1] = 0.0
    shift = 0.1; size += -shift
    name = "%d of %s" % (n, f"{size * 2:.3f} ä")
    while n > 3 and size >= 0.5 or not name:
        n //= 2
    sizes = []
    for i in range(5):
        sizes.append((i * 0.1, size))
    total = [0] * n
    for i in range(n):
        total[i] = max(i, n - 1) % 7
    match n:
        case 1:
            return 1 if size < 0.2 else -size
    return min(total[1:3]) ** 2
'''
MUTATORS = [
    mutators.perturb_literal,
    mutators.jitter_vector,
    mutators.move_row,
    mutators.shift_count,
    mutators.split_row,
    mutators.nudge_element,
    mutators.wrap_expression,
    mutators.combine_expressions,
    mutators.insert_parameter,
    mutators.reuse_literal,
    mutators.reuse_expression,
    mutators.copy_statement,
    mutators.swap_operator,
    mutators.change_loop,
    mutators.swap_function,
    mutators.delete_statement,
    mutators.swap_statements,
    mutators.negate_condition,
]
CROSSOVERS = [mutators.cross_function, mutators.cross_vector, mutators.cross_literals, mutators.take_lines]


def program(text: str) -> Program:
    found = parse(text)
    assert found is not None
    return found


def mutants(mutator: Mutator, text: str, draws: int = 100) -> list[tuple[Move, str]]:
    """Every move in so many draws, with the program it gives."""
    source = program(text)
    moves = (mutator(source, random.Random(seed)) for seed in range(draws))
    return [(move, mutators.apply(source.raw, move.edits)) for move in moves if move]


def crossed(crossover: Crossover, text: str, other: str, draws: int = 100) -> list[tuple[Move, str]]:
    theirs = program(other)
    return mutants(lambda mine, rng: crossover(mine, theirs, rng), text, draws)


def texts(found: Iterable[tuple[Move, str]]) -> set[str]:
    return {text for _, text in found}


@pytest.mark.parametrize("mutator", MUTATORS, ids=lambda mutator: mutator.__name__)
def test_a_mutator_changes_a_rich_program_and_nearly_always_keeps_it_valid(mutator: Mutator) -> None:
    found = mutants(mutator, PROGRAM, 200)
    assert len(found) > 20
    valid = [parse_tree(text) is not None for _, text in found]
    assert sum(valid) >= 0.9 * len(found)
    assert len(texts(found)) > 1


@pytest.mark.parametrize("mutator", MUTATORS, ids=lambda mutator: mutator.__name__)
def test_a_mutator_touches_the_line_it_names(mutator: Mutator) -> None:
    source = program(PROGRAM)
    for move, _ in mutants(mutator, PROGRAM):
        lines = [source.raw.count(b"\n", 0, edit.start) + 1 for edit in move.edits]
        assert min(lines) <= move.line + 12
        assert max(lines) >= move.line
        ordered = sorted(move.edits)
        assert all(one.end <= other.start for one, other in pairwise(ordered))


@pytest.mark.parametrize("mutator", MUTATORS, ids=lambda mutator: mutator.__name__)
@pytest.mark.parametrize("text", ["", "import math\n", "def f():\n    'doc'\n", "x: int\n", "for _ in x: pass\n"])
def test_a_mutator_that_finds_nothing_says_so(mutator: Mutator, text: str) -> None:
    source = program(text)
    for seed in range(5):
        move = mutator(source, random.Random(seed))
        assert move is None or move.edits


@given(
    value=st.one_of(st.integers(-(2**62), 2**62), st.floats(allow_nan=False, allow_infinity=False)), seed=st.integers()
)
def test_a_perturbed_number_is_finite_and_of_its_kind(value: float, seed: int) -> None:
    rng = random.Random(seed)
    new = mutators.near_int(value, rng) if isinstance(value, int) else mutators.near_float(value, rng)
    assert type(new) is type(value)
    assert ast.literal_eval(repr(new)) == new
    assert abs(new) < float("inf")


@given(st.floats(-1e6, 1e6), st.floats(-1e3, 1e3))
def test_a_step_is_taken_to_three_digits(value: float, step: float) -> None:
    assert mutators.stepped(value, step) == pytest.approx(value + step, abs=max(abs(step) * 0.01, 1e-9))


def test_a_minus_sign_belongs_to_its_literal() -> None:
    found = texts(mutants(mutators.perturb_literal, "x = y - -2.5\n"))
    assert all(re.fullmatch(r"x = y - (-?\d[\d.e-]*|\(-\d[\d.e-]*\))\n", text) for text in found)


def test_parentheses_do_not_pile_up() -> None:
    text = "x = y - (-2.5) * f(z)\n"
    for mutator in (mutators.perturb_literal, mutators.wrap_expression, mutators.reuse_expression):
        assert not any("f((" in new and "z))" in new for new in texts(mutants(mutator, text)))
    assert all("((" not in new for new in texts(mutants(mutators.perturb_literal, text)))


def test_whole_numbers_stay_whole_where_they_count() -> None:
    for text in texts(mutants(mutators.perturb_literal, "y = x[3] + z[1:9]\nfor i in range(26): pass\n")):
        assert not re.search(r"\.\d", text)


def test_a_table_with_counts_is_jittered_elsewhere() -> None:
    text = "T = [(1, 0.5), (8, 0.25), (16, 0.75)]\n"
    for mutator in (mutators.jitter_vector, mutators.move_row):
        for new in texts(mutants(mutator, text)):
            assert [row[0] for row in ast.literal_eval(new[4:])] == [1, 8, 16]


@pytest.mark.parametrize("mutator", [mutators.shift_count, mutators.split_row])
def test_counts_keep_their_sum(mutator: Mutator) -> None:
    found = texts(mutants(mutator, "T = [\n    (1, 0.5),\n    (8, 0.25),\n    (16, 0.75),\n]\n"))
    tables = [ast.literal_eval(text[4:]) for text in found]
    assert tables
    assert all(sum(row[0] for row in table) == 25 for table in tables)
    assert {len(table) for table in tables} == ({3} if mutator is mutators.shift_count else {4})


def test_split_rows_go_on_lines_of_their_own_where_rows_do() -> None:
    assert all(
        text.count("\n") == 6
        for text in texts(mutants(mutators.split_row, "T = [\n    (9, 0.5),\n    (8, 0.2),\n]\n\n"))
    )
    assert all(text.count("\n") == 1 for text in texts(mutants(mutators.split_row, "T = [(9, 0.5), (8, 0.2)]\n")))


def test_vectors_of_whole_numbers_stay_so() -> None:
    for mutator in (mutators.jitter_vector, mutators.move_row):
        for text in texts(mutants(mutator, "T = [4, 5, 60]\n")):
            assert all(isinstance(value, int) for value in ast.literal_eval(text[4:]))


def test_operators_become_others() -> None:
    source = "def f(a, b):\n    a += b\n    return (a) + (b) < a * b and a or b\n"
    found = texts(mutants(mutators.swap_operator, source, 200))
    assert "def f(a, b):\n    a -= b\n    return (a) + (b) < a * b and a or b\n" in found
    assert "def f(a, b):\n    a += b\n    return (a) - (b) < a * b and a or b\n" in found
    assert "def f(a, b):\n    a += b\n    return (a) + (b) <= a * b and a or b\n" in found
    assert "def f(a, b):\n    a += b\n    return (a) + (b) < a * b or a or b\n" in found


@pytest.mark.parametrize(
    "text", ["x = a < b < c\n", "x = a is b\n", "x = a and b and c\n", "x = (a  # a + b\n     + b)\n"]
)
def test_operators_that_are_not_swapped(text: str) -> None:
    assert mutants(mutators.swap_operator, text) == []


def test_loops_run_more_or_less_often() -> None:
    found = texts(mutants(mutators.change_loop, "for i in range(4): pass\n"))
    assert found == {f"for i in range({count}): pass\n" for count in (3, 5, 8, 20)}
    assert "for i in range(1, (n) * 2): pass\n" in texts(mutants(mutators.change_loop, "for i in range(1, n): pass\n"))


@pytest.mark.parametrize(
    ("stored", "pattern"),
    [
        ("p.append([i, 1])", r"p\[\d\]\[[01]\] \+= \S+"),
        ("p.append((i, 1))", r"p\[\d\] = \(p\[\d\]\[0\]( \+ \S+)?, p\[\d\]\[1\]( \+ \S+)?,\)"),
        ("p.append(i)", r"p\[\d\] \+= \S+"),
        ("p[i] = [i, 1]", r"p\[\d\]\[[01]\] \+= \S+"),
    ],
)
def test_nudged_elements_are_those_a_loop_stored(stored: str, pattern: str) -> None:
    text = f"def f(p):\n    for j in p:\n        for i in range(9):\n            {stored}\n"
    found = mutants(mutators.nudge_element, text)
    assert found
    for move, new in found:
        assert new.startswith(text.rstrip("\n"))
        assert re.fullmatch(rf"    {pattern}\n", new[len(text) :]), new
        assert move.line == 2


def test_a_parameter_is_set_before_it_is_used() -> None:
    text = "def f(x, y=2 * 3):\n    'doc'\n    z = x * 2\n    return z + factor_1 * x\n"
    for new in texts(mutants(mutators.insert_parameter, text)):
        lines = new.splitlines()
        assert lines[:2] == text.splitlines()[:2]
        assert re.fullmatch(r"    factor_2 = \d[\d.e-]*", lines[2]) or "factor_2 = -" in lines[2]
        assert "* factor_2" in "\n".join(lines[3:])


def test_a_statement_that_is_alone_is_replaced_by_pass() -> None:
    found = texts(mutants(mutators.delete_statement, "def f(x):\n    for i in x:\n        g(i)\n    return 1\n"))
    assert "def f(x):\n    for i in x:\n        pass\n    return 1\n" in found
    assert all("return 1" in text for text in found)


def test_neighbours_change_places_with_all_that_is_in_them() -> None:
    found = texts(mutants(mutators.swap_statements, "def f(x):\n    for i in x:\n        g(i)\n    h(x)\n"))
    assert found == {"def f(x):\n    h(x)\n    for i in x:\n        g(i)\n"}


def test_text_in_other_alphabets_does_not_shift_edits() -> None:
    text = 'def f(größe):\n    return "äöü" + g(größe) * 0.5\n'
    assert all('"äöü" + g(größe) * ' in new for new in texts(mutants(mutators.perturb_literal, text)))


@pytest.mark.parametrize("crossover", CROSSOVERS, ids=lambda crossover: crossover.__name__)
def test_equal_programs_have_nothing_to_give(crossover: Crossover) -> None:
    assert crossed(crossover, PROGRAM, PROGRAM) == []
    assert crossed(crossover, PROGRAM, "x = 1\n") == [] or crossover is mutators.take_lines


@pytest.mark.parametrize("crossover", CROSSOVERS, ids=lambda crossover: crossover.__name__)
def test_crossing_brings_the_other_program_in(crossover: Crossover) -> None:
    other = PROGRAM.replace("-2.5", "77.5").replace("* np.cos", "* 77.5 * np.sin")
    if crossover is mutators.cross_literals:
        other = PROGRAM.replace("-2.5", "77.5").replace("i * 0.1", "i * 77.5")
    found = crossed(crossover, PROGRAM, other)
    assert found
    assert any("77.5" in text for text in texts(found))
    assert all(parse_tree(text) for text in texts(found))


def test_means_lie_between() -> None:
    for text in texts(crossed(mutators.cross_vector, "v = [0.0, 10, 1.0]\n", "v = [1.0, 20, 2.0]\n")):
        for value, (low, high) in zip(ast.literal_eval(text[4:]), [(0, 1), (10, 20), (1, 2)], strict=True):
            assert low <= value <= high


def test_only_functions_of_the_same_place_are_taken() -> None:
    method = "class A:\n    def f(self):\n        return 1\n"
    assert crossed(mutators.cross_function, method, "def f(self):\n    return 2\n") == []
    assert texts(crossed(mutators.cross_function, method, method.replace("1", "2"))) == {method.replace("1", "2")}


def test_lines_outside_the_markers_are_not_taken() -> None:
    text = "a = 1\n# EVOLVE-BLOCK-START\nb = 1\n# EVOLVE-BLOCK-END\nc = 1\n"
    assert texts(crossed(mutators.take_lines, text, text.replace("1", "2"))) == {text.replace("b = 1", "b = 2")}


def test_blocks_are_what_markers_enclose() -> None:
    assert editable_lines(b"a\n// EVOLVE-BLOCK-START\nb\nc\n/* EVOLVE-BLOCK-END */\nd") == [(3, 4)]
    assert editable_lines(b"a\nb") == [(1, 2)]
    assert editable_lines(b"# EVOLVE-BLOCK-START\nb") == []
    assert editable_lines(b"b\n# EVOLVE-BLOCK-END\n") == []
    assert editable_lines(b"x = 'EVOLVE-BLOCK-START'\n") == [(1, 1)]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("x = 1\ny = 2\n", "x  =  1  # one\ny = (2)\n", True),
        ("x = 1\ny = 2\n", "x = 1\ny = 2.0\n", False),
        ("x = 1\n", "x = 1\ny = 2\n", False),
        ("x = [1, 2]\n", "x = [1, 2, 3]\n", False),
        ("def f():\n    return 1\n", "def f():\n\n    return 1\n", True),
        ("x = 1\n", "x = 1\n", True),
    ],
)
def test_same_programs_are_told_from_others(one: str, other: str, same: bool) -> None:
    tree = parse_tree(other)
    assert tree is not None
    assert same_program(program(one), tree, other) is same


@given(st.integers(0, 10**6))
def test_same_program_agrees_with_the_dump_of_the_tree(seed: int) -> None:
    rng = random.Random(seed)
    source = program(PROGRAM)
    move = rng.choice(MUTATORS)(source, rng)
    text = mutators.apply(source.raw, move.edits) if move else PROGRAM
    tree = parse_tree(text)
    if tree is not None:
        assert same_program(source, tree, text) is (ast.dump(tree) == ast.dump(source.tree))


def test_very_deep_expressions_are_walked() -> None:
    text = "x = " + " + ".join(["1.5"] * 400) + "\n"
    assert len(program(text).numbers) == 400
    assert texts(mutants(mutators.perturb_literal, text, 10))

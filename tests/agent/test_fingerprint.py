"""Looks do not change a fingerprint, meaning does."""

from __future__ import annotations

import ast
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.agent.fingerprint import fingerprint

PROGRAM = '''"""Pack circles."""

import math
from random import Random

LIMIT = 10


class Packing:
    """A packing."""

    size = 3

    def area(self, radius, *, scale=1.0):
        """The area."""
        squared = radius * radius
        return math.pi * squared * scale

    def all(self, radii):
        best = [value for value in radii if value > 0]
        if (count := len(best)) > LIMIT:
            best = best[:count]

        def inner():
            nonlocal best
            best = sorted(best, key=lambda one: one + count)
            return best

        try:
            return {name: inner() for name in range(count)}
        except ValueError as problem:
            raise KeyError(str(problem)) from problem


def main(seed):
    global LIMIT
    rng = Random(seed)
    match [rng.random(), 2]:
        case [first, *others]:
            LIMIT = first + sum(others)
        case {"a": 1, **more}:
            print(more)
    return f"{LIMIT:.3f}"
'''
LOCALS = ["squared", "best", "value", "count", "problem", "name", "rng", "first", "others", "more"]
"""Plain local variables of PROGRAM, each of which occurs as nothing else."""


def of(text: str, path: str = "main.py") -> str:
    return fingerprint({path: text})


class Rename(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]) -> None:
        self.names = names

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for field in ("id", "name", "rest"):
            if isinstance(node, ast.Name | ast.ExceptHandler | ast.MatchAs | ast.MatchStar | ast.MatchMapping):
                old = getattr(node, field, None)
                if old in self.names:
                    setattr(node, field, self.names[old])
        if isinstance(node, ast.Nonlocal):
            node.names = [self.names.get(name, name) for name in node.names]
        return super().generic_visit(node)


@given(numbers=st.lists(st.integers(0, 999), min_size=len(LOCALS), max_size=len(LOCALS), unique=True))
def test_names_of_local_variables_do_not_matter(numbers: list[int]) -> None:
    names = [f"z{number}" for number in numbers]
    tree = Rename(dict(zip(LOCALS, names, strict=True))).visit(ast.parse(PROGRAM))
    renamed = ast.unparse(tree)
    assert "squared" not in renamed
    assert of(renamed) == of(PROGRAM)


@given(spaces=st.integers(1, 3), comment=st.from_regex(r"[a-z ]{0,20}", fullmatch=True), every=st.integers(1, 5))
def test_formatting_comments_and_docstrings_do_not_matter(spaces: int, comment: str, every: int) -> None:
    lines = PROGRAM.split("\n")
    looks = [
        line[: len(line) - len(line.lstrip())] * spaces
        + line.lstrip()
        + (f"  # {comment}\n" if at % every == 0 else "")
        for at, line in enumerate(lines)
    ]
    text = "\n".join(looks).replace("The area.", "Area of a circle.").replace("A packing.", comment + "x")
    assert of(text) == of(PROGRAM)


def literals() -> list[int]:
    """Places, in walking order, of the constants of PROGRAM that are no docstrings."""
    tree = ast.parse(PROGRAM)
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    docs = {id(body[0].value) for body in bodies if isinstance(body[0], ast.Expr)}
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return [at for at, node in enumerate(found) if id(node) not in docs and type(node.value) in (int, float, str)]


@given(which=st.sampled_from(literals()), shift=st.integers(1, 1000))
def test_a_changed_literal_changes_it(which: int, shift: int) -> None:
    tree = ast.parse(PROGRAM)
    node = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)][which]
    node.value = node.value + (f" {shift}" if isinstance(node.value, str) else shift)  # type: ignore[operator]
    text = ast.unparse(tree)
    assert of(text) != of(PROGRAM)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = True"),
        ("x = f(1)", "x = g(1)"),
        ("x = a.b", "x = a.c"),
        ("x = 1", "y = 1"),
        ("def f(a, b): return a\n", "def f(b, a): return a\n"),
        ("def f(a, b=1): return a\n", "def f(a, *, b=1): return a\n"),
        ("def f(a=1, b=2): pass\n", "def f(a=2, b=1): pass\n"),
        ("def f(*a): return a\n", "def f(**a): return a\n"),
        ("def f():\n x = 1\n y = 2\n return x\n", "def f():\n x = 1\n y = 2\n return y\n"),
        ("def f(b):\n return [a for a in b]\n", "def f(a):\n return [a for a in a]\n"),
        (
            "def f():\n b = g()\n a = h()\n return [a for a in b]\n",
            "def f():\n b = g()\n a = h()\n return [b for b in a]\n",
        ),
        ("def f():\n global x\n x = 1\n", "def f():\n x = 1\n"),
        ("def f():\n x = 1\n def g():\n  nonlocal x\n  x = 2\n", "def f():\n x = 1\n def g():\n  x = 2\n"),
        ("def f():\n import a\n return a\n", "def f():\n import b\n return b\n"),
        ("def f():\n x = 1\n return locals()\n", "def f():\n y = 1\n return locals()\n"),
        ("class A:\n x = 1\n", "class A:\n y = 1\n"),
        (
            "def f():\n x = 1\n class A:\n  x = 2\n  y = x\n return A\n",
            "def f():\n z = 1\n class A:\n  x = 2\n  y = z\n return A\n",
        ),
        ("class A(B): pass", "@B\nclass A: pass"),
        ("[a for b in c for a in b]", "[a for b in c for a in c]"),
        ("x = 'a' 'b'", "x = 'a', 'b'"),
        ("[y := 1 for x in z]", "[w := 1 for x in z]"),
        ("if a: pass\nelse: b()", "if a: b()"),
        ("async def f(): pass", "def f(): pass"),
        ("x: int = 1", "x: str = 1"),
    ],
)
def test_programs_that_differ_in_meaning_differ(one: str, other: str) -> None:
    assert of(one) != of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f():\n return [a for a in b]\n", "def f():\n return [c for c in b]\n"),
        ("x = lambda a: [q for q in a]\n", "x = lambda a: [r for r in a]\n"),
        ("def f():\n y = 1\n class A:\n  z = y\n", "def f():\n w = 1\n class A:\n  z = w\n"),
        (
            "def f():\n if any((y := x) for x in g()):\n  return y\n",
            "def f():\n if any((w := x) for x in g()):\n  return w\n",
        ),
        ("def f(): 'doc'\n", "def f(): 'other'\n"),
        ("[a for b in c for a in b]", "[x for y in c for x in y]"),
        ("x = 0x10", "x = 16"),
        ("x = u'a'", 'x = "a"'),
    ],
)
def test_programs_that_differ_in_looks_do_not(one: str, other: str) -> None:
    assert of(one) == of(other)


def test_other_languages_and_broken_python_are_compared_as_text() -> None:
    assert of("a  \n\n b\n", "x.rs") == of("a\n b", "x.rs")
    assert of("a  b", "x.rs") != of("a b", "x.rs")
    assert of("def f(:  \n\n  x") == of("def f(:\n  x\n")
    assert of("def f(:\n  y") != of("def f(:\n  x")


def test_paths_and_the_split_into_files_matter() -> None:
    assert fingerprint({"a.py": "x=1"}) != fingerprint({"b.py": "x=1"})
    assert fingerprint({"a.py": "x=1", "b.py": ""}) != fingerprint({"a.py": "x=1"})
    assert fingerprint({"a.py": "x=1", "b.py": "y=2"}) == fingerprint({"b.py": "y = 2", "a.py": "x = 1"})


@pytest.mark.parametrize(
    "text",
    [
        "x" * 100_000,
        "(" * 5000,
        "-" * 20_000 + "1",
        "x = " + "1+" * 20_000 + "1",
        "x = 0x" + "f" * 9000,
        "\x00",
        "\ud800",
        "'\\d'",
    ],
)
def test_odd_programs_have_one_too(text: str) -> None:
    assert len(of(text)) == 64


@given(text=st.text())
def test_any_text_has_one(text: str) -> None:
    assert len(of(text)) == 64


def test_it_is_quick() -> None:
    text = "\n".join(PROGRAM.replace("main", f"main{number}") for number in range(25))
    lines = text.count("\n")
    best = min(_timed(text) for _ in range(5))
    assert best / lines * 100 < 0.004, "four times the aim of 1 ms per 100 lines, for slow machines"


def _timed(text: str) -> float:
    started = time.process_time()
    of(text)
    return time.process_time() - started

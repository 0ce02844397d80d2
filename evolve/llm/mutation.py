"""An author without a language model: seeded random edits of the program's syntax tree.

The control that every run with a model should be compared with. It reads the materials of a request and none of its
prose, says in its plan exactly which edits it makes, and never pretends to reason.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, NamedTuple, TypeVar

from evolve.llm import mutators
from evolve.llm.base import LLM, Files, Materials, Reply, Request
from evolve.llm.mutators import Crossover, Edit, Move, Mutator
from evolve.llm.sites import Program, editable_lines, has_markers, parse, parse_tree, same_program
from evolve.plugins import BuildContext, PluginConfig

IMPROVE: tuple[tuple[Mutator, float], ...] = (
    (mutators.perturb_literal, 30),
    (mutators.jitter_vector, 30),
    (mutators.move_row, 12),
    (mutators.shift_count, 3),
    (mutators.split_row, 3),
    (mutators.nudge_element, 14),
    (mutators.wrap_expression, 8),
    (mutators.combine_expressions, 3),
    (mutators.insert_parameter, 3),
    (mutators.reuse_literal, 4),
    (mutators.reuse_expression, 4),
    (mutators.copy_statement, 3),
    (mutators.swap_operator, 3),
    (mutators.change_loop, 2),
    (mutators.swap_function, 1),
    (mutators.delete_statement, 1),
    (mutators.swap_statements, 1),
    (mutators.negate_condition, 0.5),
)
"""Edits of a program that works, and how often each is drawn relative to the others."""
DRAFT: tuple[tuple[Mutator, float], ...] = (
    (mutators.perturb_literal, 40),
    (mutators.jitter_vector, 30),
    (mutators.move_row, 8),
    (mutators.shift_count, 5),
    (mutators.split_row, 5),
    (mutators.wrap_expression, 10),
    (mutators.nudge_element, 5),
    (mutators.reuse_expression, 5),
    (mutators.combine_expressions, 8),
    (mutators.insert_parameter, 5),
    (mutators.copy_statement, 5),
    (mutators.change_loop, 3),
    (mutators.swap_operator, 3),
    (mutators.swap_function, 3),
)
REPAIR: tuple[tuple[Mutator, float], ...] = (
    (mutators.perturb_literal, 6),
    (mutators.delete_statement, 2),
    (mutators.change_loop, 1),
    (mutators.swap_statements, 1),
    (mutators.negate_condition, 1),
)
CROSSOVER: tuple[tuple[Crossover, float], ...] = (
    (mutators.cross_function, 2),
    (mutators.cross_vector, 2),
    (mutators.cross_literals, 1),
)
REVERT: tuple[tuple[Crossover, float], ...] = (
    (mutators.take_lines, 4),
    (mutators.cross_function, 2),
    (mutators.cross_vector, 1),
    (mutators.cross_literals, 1),
)
RESTART = Move("take the whole initial program back, for this one is not valid Python", 1, ())
CROSSOVER_CHANCE = 0.5
REVERT_CHANCE = 0.7
FIRST = "1"
"""The attempt that a plan describes. Calls are named `expansion/role/attempt`; each attempt of a coder is a new draw."""
GROWTH = 4
"""A program longer than so many times the initial one only shrinks, or copies of copies would fill it."""
ROOM = 4000
"""Bytes that any program may have."""
DRAWS = 40
"""Tries before a program counts as one that cannot be mutated."""
NOTHING = "nothing to mutate: no place that may be edited, or no edit that changes anything"
COMMENT = re.compile(r"\s*(#|//|--|;|%|/?\*|<!--)")
"""A line that only comments, or looks like it, in many languages."""
LITERAL = re.compile(r"(?<![\w.\"'])\d{1,15}(?:\.\d{1,15})?(?![\w.\"'])")
"""A number that stands for itself in nearly any language."""


T = TypeVar("T")


class Config(PluginConfig):
    """Mutate programs at random instead of asking a model: free, offline, and the control for every model."""

    kind: Literal["mutation"] = "mutation"

    def build(self, context: BuildContext) -> LLM:
        return MutationAuthor(context.seed)


class MutationAuthor:
    """Answers from the request's materials alone: the same seed, expansion, re-ask and materials give the same reply."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def complete(self, request: Request) -> Reply:
        expansion, _, rest = request.call_id.partition("/")
        attempt = rest.rpartition("/")[2]
        match request.role:
            case "reviewer":
                text = "LGTM"
            case "analyst":
                text = ""
            case "strategist":
                text = _plan(self._mutation(expansion, FIRST, request.materials))
            case "coder":
                text = _answer(self._mutation(expansion, attempt, request.materials))
        return Reply(text=text, model="mutation")

    def _mutation(self, expansion: str, attempt: str, materials: Materials) -> Mutation | None:
        return mutate(f"{self._seed}/{expansion}/{attempt}", Sources.of(materials))


Pairs = tuple[tuple[str, str], ...]


class Sources(NamedTuple):
    """Materials that can be looked up in a cache: files as sorted pairs of path and text."""

    operator: str
    failed: bool
    files: Pairs
    baseline: Pairs
    references: tuple[Pairs, ...]

    @classmethod
    def of(cls, materials: Materials) -> Sources:
        references = tuple(_pairs(files) for files in materials.references)
        return cls(
            materials.operator, materials.failed, _pairs(materials.files), _pairs(materials.baseline), references
        )


def _pairs(files: Files) -> Pairs:
    return tuple(sorted(files.items()))


@dataclass(frozen=True, slots=True)
class Mutation:
    """One file changed."""

    path: str
    text: str
    moves: tuple[Move, ...]


@lru_cache(maxsize=32)
def mutate(key: str, sources: Sources) -> Mutation | None:
    """The mutation that a key stands for, or None where there is nothing to mutate. Cached: two roles ask for it."""
    rng = random.Random(key)
    open_files = _editable(sources.files)
    baseline = dict(sources.baseline)
    programs: list[tuple[str, Program, tuple[Move, ...]]] = []
    for path, text in open_files:
        if not path.endswith(".py"):
            continue
        if program := parse(text):
            programs.append((path, program, ()))
        elif sources.failed and (initial := parse(baseline.get(path, ""))):
            programs.append((path, initial, (RESTART,)))
    sizes = [program.size for _, program, _ in programs]
    if not any(sizes):
        return _mutate_text([pair for pair in open_files if not pair[0].endswith(".py")], rng)
    for _ in range(DRAWS):
        path, program, before = rng.choices(programs, sizes)[0]
        initial = parse(baseline[path]) if path in baseline else None
        moves = _draw(path, program, initial, sources, rng)
        text = mutators.apply(program.raw, (edit for move in moves for edit in move.edits))
        known = [program] if initial is None or initial is program else [program, initial]
        most = max(ROOM, GROWTH * len(initial.raw) if initial else 0, len(program.raw))
        bloated = len(text.encode()) > most
        if moves and not bloated and _is_new(text, known):
            return Mutation(path, text, before + moves)
    return None


def _editable(files: Pairs) -> Pairs:
    """Files with EVOLVE-BLOCK markers; where no file has any, every Python file."""
    marked = tuple(pair for pair in files if has_markers(pair[1]))
    return marked or tuple(pair for pair in files if pair[0].endswith(".py"))


def _is_new(text: str, known: Iterable[Program]) -> bool:
    """Whether a text is a valid program and none of the known ones."""
    tree = parse_tree(text)
    return tree is not None and not any(same_program(program, tree, text) for program in known)


def _draw(
    path: str, program: Program, initial: Program | None, sources: Sources, rng: random.Random
) -> tuple[Move, ...]:
    """Edits for one mutation, none of which touches another; empty if those drawn find nothing to do."""
    if sources.failed:
        if initial is not None and rng.random() < REVERT_CHANCE:
            return _moves(program, [_crossing(REVERT, initial, "the initial program", rng)], rng)
        return _moves(program, [_weighted(REPAIR, rng)], rng)
    wanted: list[Mutator] = []
    references = [text for files in sources.references for name, text in files if name == path]
    if references and rng.random() < CROSSOVER_CHANCE and (other := parse(rng.choice(references))):
        wanted.append(_crossing(CROSSOVER, other, "a reference", rng))
    if sources.operator == "draft":
        wanted += [_weighted(DRAFT, rng) for _ in range(rng.choice((2, 3, 3, 4, 5)))]
    elif not wanted or rng.random() < 0.5:
        wanted += [_weighted(IMPROVE, rng) for _ in range(rng.choice((1, 1, 1, 1, 1, 2, 2, 3)))]
    return _moves(program, wanted, rng)


def _crossing(table: Sequence[tuple[Crossover, float]], other: Program, whose: str, rng: random.Random) -> Mutator:
    cross = _weighted(table, rng)

    def mutator(program: Program, rng: random.Random) -> Move | None:
        move = cross(program, other, rng)
        return move and replace(move, what=f"{move.what} of {whose}")

    return mutator


def _weighted(table: Sequence[tuple[T, float]], rng: random.Random) -> T:
    return rng.choices([entry for entry, _ in table], [weight for _, weight in table])[0]


def _moves(program: Program, wanted: Iterable[Mutator], rng: random.Random) -> tuple[Move, ...]:
    moves: list[Move] = []
    taken: list[Edit] = []
    for mutator in wanted:
        move = mutator(program, rng)
        if move is None or any("EVOLVE-BLOCK" in edit.text for edit in move.edits):
            continue  # a marker taken from another program would open a place that is closed
        if not mutators.overlap(move.edits, taken):
            moves.append(move)
            taken += move.edits
    return tuple(moves)


def _mutate_text(files: Sequence[tuple[str, str]], rng: random.Random) -> Mutation | None:
    """Change one number between the markers of a file in another language."""
    found: list[tuple[str, list[str], int, re.Match[str]]] = []
    for path, text in files:
        raw = text.encode("utf-8", "surrogatepass")
        lines = [line.decode("utf-8", "surrogatepass") for line in raw.splitlines(keepends=True)]
        for first, last in editable_lines(raw):
            for index in range(first - 1, last):
                if not COMMENT.match(lines[index]):
                    found += [(path, lines, index, match) for match in LITERAL.finditer(lines[index])]
    if not found:
        return None
    path, lines, index, match = rng.choice(found)
    old = match.group()
    new = old
    while new == old:
        new = repr(mutators.near_float(float(old), rng) if "." in old else mutators.near_int(int(old), rng))
        new = new if re.fullmatch(r"[\d.]+", new) else old
    line = lines[index]
    changed = [*lines[:index], line[: match.start()] + new + line[match.end() :], *lines[index + 1 :]]
    return Mutation(path, "".join(changed), (Move(f"replace literal {old} by {new}", index + 1, ()),))


def _plan(mutation: Mutation | None) -> str:
    """The plan that says what `mutate` did, as the strategist's reply."""
    moves = mutation.moves if mutation else ()
    path = mutation.path if mutation else ""
    done = "; ".join(f"{move.what} at line {move.line}" for move in moves)
    plan = {
        "hypothesis": f"mutation: {done or NOTHING}",
        "why": "Drawn at random; no model has reasoned about it.",
        "changes": [{"where": f"{path}:{move.line}", "what": move.what} for move in moves],
        "keep": "everything else",
        "predicted_gain": None,
    }
    return json.dumps(plan, ensure_ascii=False)


def _answer(mutation: Mutation | None) -> str:
    """The changed file in a fence longer than any in it."""
    if mutation is None:
        return f"mutation: {NOTHING}"
    inner = re.findall(r"^\s*(`{3,})", mutation.text, re.MULTILINE)
    fence = "`" * max(3, 1 + max(map(len, inner), default=0))
    language = "python " if mutation.path.endswith(".py") else ""
    path = mutation.path if re.fullmatch(r"[\w./-]+", mutation.path) else f'"{mutation.path}"'
    end = "" if mutation.text.endswith("\n") else "\n"
    return f"{fence}{language}path={path}\n{mutation.text}{end}{fence}\n"

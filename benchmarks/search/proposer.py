"""The scripted author: writes the next program from a brief, as a model would that is fair at the task and makes mistakes.

It sees the `Brief` that the real prompts are made of and nothing else: the parent's program, result and error, the
titles and results of the attempts shown, the programs and results of the references, and the recalled experiences. It
does not know which policy chose them. What it brings along is a weak belief about every option and every remedy.

The rates are those of coding agents as published and as seen in this project's own runs:
- a changed module is wrong with the landscape's rate (8 %), a module of a new program with half of it, for most of that
  is routine: a draft of 8 modules fails with 28 %, and a program that takes 4 modules from others with 28 % as well;
- 3 % of the replies cannot be read;
- the first remedy that comes to mind is right with 45 %; a quarter of the repairs give the idea up instead;
- what the titles say was tried without gain is avoided, but 15 % of it is overlooked;
- asked for one change, it makes a second one with 15 %; asked to change direction, it makes one to three;
- shown other solutions, it takes from them (always when asked to combine, else with 70 %): of what differs, a module
  with 50 % where that solution is better than the parent and 30 % where it is not, more if it believes in it.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from benchmarks.search.landscape import KINDS, REMEDIES, Landscape, Patch, Program
from evolve.agent.brief import Brief, Solution

FILE = "program.txt"
NO_PLAN = "(no plan)"

UNREADABLE = 0.03
OVERLOOKS = 0.15
SECOND_CHANGE = 0.15
KNOWS_REMEDY = 0.45
TRUSTS_REMEDY = 0.9
GIVES_UP = 0.25
BORROWS = 0.7
BORROWS_BETTER, BORROWS_OTHER = 0.5, 0.3
NAMED = 3
"""Modules that the title of a new program names: the first ones, its approach."""

Move = tuple[int, int]
"""A module and the option it is to have."""
_MOVE = re.compile(r"m(\d+)=(\d+)")


@dataclass(frozen=True, slots=True)
class Written:
    title: str
    program: Program | None
    """None for a reply that cannot be read."""


class Author:
    def __init__(self, land: Landscape, seed: int) -> None:
        """The seed draws what it believes, not what it does."""
        rng = random.Random(f"author/{seed}")
        insight = land.spec.insight
        self._appeal = tuple(_appeal(effects, insight, rng) for effects in land.average_effects())
        """How attractive every option of every module looks."""
        self._bugs = land.spec.bugs
        others = (1 - KNOWS_REMEDY) / (REMEDIES - 1)
        self._remedies = tuple(
            tuple(KNOWS_REMEDY if remedy == right else others for remedy in range(REMEDIES)) for right in land.remedies
        )

    def write(self, brief: Brief, rng: random.Random, refused: Sequence[Move] = ()) -> Written:
        if rng.random() < UNREADABLE:
            return Written(NO_PLAN, None)
        parent = brief.parent
        others = [one for one in brief.references if one.role != "trajectory"]
        if parent is None:
            return self._unite(others, rng) if others else self._draft(brief, rng)
        if parent.status != "scored":
            return self._repair(brief, parent, rng)
        if others and (brief.operator == "fuse" or rng.random() < BORROWS):
            return self._borrow(brief, parent, others, rng)
        return self._change(brief, parent, rng, refused)

    def _draft(self, brief: Brief, rng: random.Random) -> Written:
        """Something else than the drafts it is told of."""
        named = {move for attempt in brief.attempts for move in moves(attempt.title)}
        choices = tuple(
            _draw([weight * (0.2 if (module, option) in named else 1) for option, weight in enumerate(row)], rng)
            for module, row in enumerate(self._appeal)
        )
        program = self._with_bugs(Program(choices), range(len(choices)), self._bugs / 2, rng)
        return Written(f"new: {_named(choices)}", program)

    def _unite(self, others: Sequence[Solution], rng: random.Random) -> Written:
        """A new program that has each module from one of the solutions read, the best ones preferred."""
        programs = [program_of(one) for one in _best_first(others)]
        weights = [1 / rank for rank in range(1, len(programs) + 1)]
        choices = tuple(
            rng.choices(options, weights)[0] for options in zip(*(p.choices for p in programs), strict=True)
        )
        changed = [module for module, choice in enumerate(choices) if choice != programs[0].choices[module]]
        united = Program(choices, patches=frozenset().union(*(program.patches for program in programs)))
        title = f"unite {' '.join(one.node_id for one in others)}: {_named(choices)}"
        return Written(title, self._with_bugs(united, changed, self._bugs, rng))

    def _change(self, brief: Brief, parent: Solution, rng: random.Random, refused: Sequence[Move] = ()) -> Written:
        heard = {**_heard(brief, parent, rng), **dict.fromkeys(refused, 0.0)}
        many = rng.randint(1, 3) if brief.operator == "evolve" else 1 + (rng.random() < SECOND_CHANGE)
        program = program_of(parent)
        wanted: list[Move] = []
        for _ in range(many):
            open_moves, weights = [], []
            for module, row in enumerate(self._appeal):
                if any(module == done for done, _ in wanted):
                    continue
                current = program.choices[module]
                # A small change seldom replaces the approach.
                scale = (0.5 if module == 0 else 1.0) / row[current]
                for option, weight in enumerate(row):
                    if option != current:
                        open_moves.append((module, option))
                        weights.append(weight * scale * heard.get((module, option), 1.0))
            wanted.append(open_moves[_draw(weights, rng)])
        return self._moved(program, wanted, "change", rng)

    def _borrow(self, brief: Brief, parent: Solution, others: Sequence[Solution], rng: random.Random) -> Written:
        heard = _heard(brief, parent, rng)
        program = program_of(parent)
        sources = _best_first(others)
        weights = [1 / rank for rank in range(1, len(sources) + 1)]
        taken: list[Move] = []
        left: list[Move] = []
        for module, current in enumerate(program.choices):
            source = rng.choices(sources, weights)[0]
            option = program_of(source).choices[module]
            if option == current:
                continue
            row = self._appeal[module]
            chance = BORROWS_BETTER if _score(source) > _score(parent) else BORROWS_OTHER
            chance *= min(max(math.sqrt(row[option] / row[current]), 0.5), 1.5)
            chance *= min(heard.get((module, option), 1.0), 1.5)
            (taken if rng.random() < chance else left).append((module, option))
        if not taken:
            if not left:
                return self._change(brief, parent, rng)
            taken = [rng.choice(left)]
        adapters = {patch for one in others for patch in program_of(one).patches if "+" in patch[0]}
        combined = replace(program, patches=program.patches | adapters)
        return self._moved(combined, taken, f"from {' '.join(one.node_id for one in others)}", rng)

    def _repair(self, brief: Brief, parent: Solution, rng: random.Random) -> Written:
        program = program_of(parent)
        fault, place = parent.stderr.split(" at ")
        kind = int(fault[1:])
        if rng.random() < GIVES_UP:
            module = int(_MOVE.findall(place)[-1][0]) if "+" in place else int(place[1:])
            row = list(self._appeal[module])
            row[program.choices[module]] = 0.0
            return self._moved(program, [(module, _draw(row, rng))], f"{fault} avoided", rng)
        remedy = self._remedy(kind, place, program, brief, rng)
        mended = replace(program, patches=program.patches | {(place, remedy)})
        touched = [int(place[1:])] if "+" not in place else [int(_MOVE.findall(place)[-1][0])]
        return Written(_repair_title(kind, remedy), self._with_bugs(mended, touched, self._bugs / 2, rng))

    def _remedy(self, kind: int, place: str, program: Program, brief: Brief, rng: random.Random) -> int:
        failed = {remedy for where, remedy in program.patches if where == place}
        for one in brief.experiences:
            for remedy in range(REMEDIES):
                if one.title == _repair_title(kind, remedy):
                    if one.status == "crashed" and one.lesson.startswith(f"E{kind} "):
                        failed.add(remedy)
                    elif remedy not in failed and rng.random() < TRUSTS_REMEDY:
                        return remedy
        weights = [0.0 if remedy in failed else weight for remedy, weight in enumerate(self._remedies[kind])]
        return _draw(weights if any(weights) else self._remedies[kind], rng)

    def _moved(self, program: Program, wanted: Sequence[Move], verb: str, rng: random.Random) -> Written:
        choices = list(program.choices)
        for module, option in wanted:
            choices[module] = option
        changed = {module for module, _ in wanted}
        moved = Program(
            tuple(choices),
            tuple(bug for bug in program.bugs if bug[0] not in changed),
            frozenset(patch for patch in program.patches if patch[0] not in {f"m{module}" for module in changed}),
        )
        title = f"{verb}: {' '.join(f'm{module}={option}' for module, option in sorted(wanted))}"
        return Written(title, self._with_bugs(moved, sorted(changed), self._bugs, rng))

    def _with_bugs(self, program: Program, modules: Sequence[int], rate: float, rng: random.Random) -> Program:
        bugs = [(module, rng.randrange(KINDS)) for module in modules if rng.random() < rate]
        return replace(program, bugs=tuple(sorted({**dict(program.bugs), **dict(bugs)}.items()))) if bugs else program


def _heard(brief: Brief, parent: Solution, rng: random.Random) -> dict[Move, float]:
    """How much more or less than before a move appeals after reading what was tried and how the parent came about."""
    factors: dict[Move, float] = {}
    for attempt in brief.attempts:
        named = moves(attempt.title)
        if (
            attempt.gain > 0
            if attempt.gain is not None
            else attempt.score is not None and attempt.score > _score(parent)
        ):
            factor = 4.0
        elif rng.random() < OVERLOOKS:
            continue
        elif len(named) > 1 or (attempt.score is None and attempt.status != "duplicate"):
            factor = 0.5
        else:
            factor = 0.02
        for move in named:
            factors[move] = factors.get(move, 1.0) * factor
    mine = program_of(parent).choices
    for step in brief.trajectory:
        for module, option in moves(step.title):
            if mine[module] != option and rng.random() >= OVERLOOKS:
                factors[module, option] = factors.get((module, option), 1.0) * 0.02
    for earlier in brief.references:
        if earlier.role == "trajectory" and _score(earlier) > _score(parent):
            for module, option in enumerate(program_of(earlier).choices):
                if option != mine[module]:
                    factors[module, option] = factors.get((module, option), 1.0) * 3.0
    return factors


def _appeal(effects: Sequence[float], insight: float, rng: random.Random) -> tuple[float, ...]:
    mean = sum(effects) / len(effects)
    spread = math.sqrt(sum((effect - mean) ** 2 for effect in effects) / len(effects))
    doubt = math.sqrt(1 - insight**2)
    return tuple(math.exp(insight * (effect - mean) / spread + doubt * rng.gauss(0, 1)) for effect in effects)


def _draw(weights: Sequence[float], rng: random.Random) -> int:
    return rng.choices(range(len(weights)), weights)[0]


def _score(solution: Solution) -> float:
    return solution.score if solution.score is not None else -math.inf


def _best_first(solutions: Sequence[Solution]) -> list[Solution]:
    return sorted(solutions, key=_score, reverse=True)


def _named(choices: Sequence[int]) -> str:
    return " ".join(f"m{module}={option}" for module, option in enumerate(choices[:NAMED]))


def _repair_title(kind: int, remedy: int) -> str:
    return f"E{kind}: remedy {remedy}"


@lru_cache(maxsize=100_000)
def moves(title: str) -> tuple[Move, ...]:
    """What a title says was chosen."""
    return tuple((int(module), int(option)) for module, option in _MOVE.findall(title))


def program_of(solution: Solution) -> Program:
    return parse(solution.files[FILE])


@lru_cache(maxsize=100_000)
def text(program: Program) -> str:
    """The program as a file."""
    bugs = dict(program.bugs)
    lines = [
        f"m{module} = {option}" + (f"  # E{bugs[module]}" if module in bugs else "")
        for module, option in enumerate(program.choices)
    ]
    lines += [f"patch {place}: remedy {remedy}" for place, remedy in sorted(program.patches)]
    return "\n".join(lines) + "\n"


@lru_cache(maxsize=100_000)
def parse(source: str) -> Program:
    choices: list[int] = []
    bugs: list[tuple[int, int]] = []
    patches: set[Patch] = set()
    for line in source.splitlines():
        if line.startswith("patch "):
            place, remedy = line.removeprefix("patch ").split(": remedy ")
            patches.add((place, int(remedy)))
            continue
        _, _, chosen = line.partition(" = ")
        option, _, bug = chosen.partition("  # E")
        if bug:
            bugs.append((len(choices), int(bug)))
        choices.append(int(option))
    return Program(tuple(choices), tuple(bugs), frozenset(patches))

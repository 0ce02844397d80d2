"""Made-up tasks with a known optimum. Knows nothing of search or of the author who writes programs for them.

A program chooses one of K options in each of M modules (data, features, model, loss, ...). Its score is a sum of main
effects, one an option, and of pair interactions, scaled so that the initial program has 0 and the optimum 1. The
optimum is exact: modules interact along a band or a star, so that eliminating one after another stays cheap.

The numbers were chosen before any policy was run, from what such tasks are like:
- main effects are N(0, 1) in every landscape; the initial program works but is poor: the second worst option everywhere.
- a module interacts with the next two in a hidden order (13 pairs of 8 modules). With a standard deviation of 0.7 the
  interactions weigh about as much as the main effects (13 * 0.49 to 8), with 0.4 about a quarter.
- `deceptive`: the first module is the approach (a model family), and what is best elsewhere depends on it. The approach
  that looks best untuned, by two standard deviations, has little left to gain; the best one starts low and has twice
  the room. Going over from a tuned program of the one to the other, with all else as it was, loses.
- `crashy`: 6 % of the option pairs of interacting modules do not fit (55 % of random programs hit one) until an adapter
  is written, and new code is twice as often wrong.
- `noisy`: an evaluation has a standard deviation of 5 % of the whole range, about the gain of one good change late on.
- `needle`: scores come in steps of a tenth of the range, so that most changes show nothing.
- `long`: twice the modules. `easy`: 5 modules of 4 options, no interactions, and an author who knows more.
A fault is one of a dozen kinds, as agents meet the same few exceptions again and again, and each kind has one remedy of five.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

KINDS = 12
REMEDIES = 5

Choices = tuple[int, ...]
Patch = tuple[str, int]
"""Where code was mended, and by which remedy."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What a family of landscapes is like."""

    modules: int = 8
    options: int = 6
    interaction: float = 0.0
    """Standard deviation of a pair interaction; a main effect has 1."""
    deceptive: bool = False
    traps: float = 0.0
    """Share of the option pairs of interacting modules that crash."""
    bugs: float = 0.08
    """Chance that a changed module is wrong."""
    noise: float = 0.0
    """Standard deviation of an evaluation, in units of the range from start to optimum."""
    levels: int | None = None
    """So many steps of the score from start to optimum; none where it is smooth."""
    insight: float = 0.3
    """Correlation of what the author believes of an option with its average effect."""


SPECS = {
    "easy": Spec(modules=5, options=4, insight=0.6),
    "additive": Spec(),
    "interacting": Spec(interaction=0.7),
    "deceptive": Spec(deceptive=True),
    "crashy": Spec(interaction=0.4, traps=0.06, bugs=0.16),
    "noisy": Spec(interaction=0.4, noise=0.05),
    "needle": Spec(interaction=0.4, levels=10),
    "long": Spec(modules=16, interaction=0.4),
}


@dataclass(frozen=True, slots=True)
class Program:
    """What an author writes."""

    choices: Choices
    bugs: tuple[tuple[int, int], ...] = ()
    """Modules with a fault of their own, and its kind. The author does not know of them."""
    patches: frozenset[Patch] = frozenset()


@dataclass(frozen=True, slots=True)
class Factor:
    """A term of the score that depends on a few modules."""

    scope: tuple[int, ...]
    table: dict[tuple[int, ...], float]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a program crashes."""

    place: str
    """`m3`, or `m3=1+m5=2` where two options do not fit."""
    kind: int

    @property
    def message(self) -> str:
        return f"E{self.kind} at {self.place}"


class Landscape:
    """One instance of a family."""

    def __init__(self, name: str, seed: int) -> None:
        rng = random.Random(f"landscape/{name}/{seed}")
        self.spec = spec = SPECS[name]
        self.remedies = tuple(rng.randrange(REMEDIES) for _ in range(KINDS))
        """The remedy of each kind of fault."""
        self.lengths = tuple(tuple(rng.randint(5, 40) for _ in range(spec.options)) for _ in range(spec.modules))
        """Lines of code of each option."""
        self._factors = _approaches(spec, rng) if spec.deceptive else _band(spec, rng)
        self._mains = [factor for factor in self._factors if len(factor.scope) == 1]
        self._pairs = [factor for factor in self._factors if len(factor.scope) == 2]
        self.traps = _traps(spec, self._pairs, rng)
        self._start = self._sum((0,) * spec.modules)
        self._range = maximum(spec.options, spec.modules, self._factors) - self._start
        self._known: dict[Choices, float] = {}

    def true_score(self, choices: Choices) -> float:
        """0 for the initial program, 1 for the optimum."""
        score = self._known.get(choices)
        if score is None:
            score = (self._sum(choices) - self._start) / self._range
            if self.spec.levels:
                score = math.floor(score * self.spec.levels + 1e-9) / self.spec.levels
            self._known[choices] = score = round(score, 6)
        return score

    def fault(self, program: Program) -> Fault | None:
        """The first thing that goes wrong."""
        for module, kind in program.bugs:
            if (f"m{module}", self.remedies[kind]) not in program.patches:
                return Fault(f"m{module}", kind)
        for (i, a, j, b), kind in self.traps.items():
            if program.choices[i] == a and program.choices[j] == b:
                place = f"m{i}={a}+m{j}={b}"
                if (place, self.remedies[kind]) not in program.patches:
                    return Fault(place, kind)
        return None

    def size(self, choices: Choices) -> int:
        """Lines of code."""
        return sum(lengths[choice] for lengths, choice in zip(self.lengths, choices, strict=True))

    def average_effects(self) -> list[list[float]]:
        """Of every option of every module, over all options of the modules it interacts with."""
        found = [[0.0] * self.spec.options for _ in range(self.spec.modules)]
        for factor in self._factors:
            share = self.spec.options ** (len(factor.scope) - 1)
            for choices, value in factor.table.items():
                for module, choice in zip(factor.scope, choices, strict=True):
                    found[module][choice] += value / share
        return found

    def _sum(self, choices: Choices) -> float:
        total = sum(factor.table[(choices[factor.scope[0]],)] for factor in self._mains)
        for factor in self._pairs:
            i, j = factor.scope
            total += factor.table[(choices[i], choices[j])]
        return total


@lru_cache(maxsize=8)
def landscape(name: str, seed: int) -> Landscape:
    """Drawing one costs more than a search step, so that the policies of one seed share it."""
    return Landscape(name, seed)


def maximum(options: int, modules: int, factors: Sequence[Factor]) -> float:
    """The largest sum of the factors over all programs, by eliminating one module after another."""
    left = set(range(modules))
    while left:
        scopes = {module: _joint_scope(module, factors) for module in left}
        module = min(left, key=lambda one: (len(scopes[one]), one))
        factors = _eliminated(module, scopes[module], options, factors)
        left.remove(module)
    return sum(factor.table[()] for factor in factors)


def _joint_scope(module: int, factors: Sequence[Factor]) -> tuple[int, ...]:
    joined = {other for factor in factors if module in factor.scope for other in factor.scope}
    return tuple(sorted(joined - {module}))


def _eliminated(module: int, scope: tuple[int, ...], options: int, factors: Sequence[Factor]) -> list[Factor]:
    joined = [factor for factor in factors if module in factor.scope]

    def best(choices: Choices) -> float:
        at = dict(zip(scope, choices, strict=True))
        return max(
            sum(factor.table[tuple(at.get(one, option) for one in factor.scope)] for factor in joined)
            for option in range(options)
        )

    table = {choices: best(choices) for choices in product(range(options), repeat=len(scope))}
    return [*(factor for factor in factors if module not in factor.scope), Factor(scope, table)]


def _main_effects(spec: Spec, rng: random.Random, spread: float = 1.0) -> list[Factor]:
    """Option 0, the initial program's, is the second worst of every module."""
    found = []
    for module in range(spec.modules):
        worst, second, *rest = sorted(rng.gauss(0, spread) for _ in range(spec.options))
        rest.append(worst)
        rng.shuffle(rest)
        found.append(Factor((module,), {(option,): value for option, value in enumerate((second, *rest))}))
    return found


def _band(spec: Spec, rng: random.Random) -> list[Factor]:
    mains = _main_effects(spec, rng)
    order = rng.sample(range(spec.modules), spec.modules)
    near = [(order[at], order[at + gap]) for gap in (1, 2) for at in range(spec.modules - gap)]
    pairs = near if spec.interaction else []
    return mains + [_pair(scope, spec.options, lambda _: spec.interaction, rng) for scope in pairs]


def _approaches(spec: Spec, rng: random.Random) -> list[Factor]:
    """What is best elsewhere depends on the first module; see the module's docstring."""
    while True:
        best, decoy = rng.sample(range(1, spec.options), 2)
        level = [rng.gauss(0, 0.5) for _ in range(spec.options)]
        level[best], level[decoy] = -0.5, 2.0
        room = [0.6] * spec.options
        room[best], room[decoy] = 1.0, 0.5
        mains = _main_effects(spec, rng, spread=0.3)
        mains[0] = Factor((0,), {(option,): value for option, value in enumerate(level)})
        pairs = [_pair((0, module), spec.options, room.__getitem__, rng) for module in range(1, spec.modules)]
        factors = mains + pairs
        if _deceives(spec, factors, best, decoy):
            return factors


def _deceives(spec: Spec, factors: Sequence[Factor], best: int, decoy: int) -> bool:
    """Whether the decoy looks best on average, the best approach reaches clearly more, and going over alone loses."""
    tuned = [_tuned(spec, factors, approach) for approach in range(spec.options)]
    tops = [_total(factors, choices) for choices in tuned]
    looks = [
        sum(
            value / spec.options ** (len(at) - 1)
            for factor in factors
            if factor.scope[0] == 0
            for at, value in factor.table.items()
            if at[0] == approach
        )
        for approach in range(spec.options)
    ]
    runner_up = max(top for approach, top in enumerate(tops) if approach != best)
    gone_over = _total(factors, (best, *tuned[decoy][1:]))
    return looks[decoy] == max(looks) and tops[best] >= runner_up + 1.0 and gone_over < tops[decoy]


def _tuned(spec: Spec, factors: Sequence[Factor], approach: int) -> Choices:
    """The best program of an approach; exact, since the other modules interact with the first one only."""
    choices: Choices = (approach,) + (0,) * (spec.modules - 1)
    for module in range(1, spec.modules):
        options = [(*choices[:module], option, *choices[module + 1 :]) for option in range(spec.options)]
        choices = max(options, key=lambda one: _total(factors, one))
    return choices


def _total(factors: Sequence[Factor], choices: Choices) -> float:
    return sum(factor.table[tuple(choices[module] for module in factor.scope)] for factor in factors)


def _pair(scope: tuple[int, int], options: int, spread: Callable[[int], float], rng: random.Random) -> Factor:
    table: dict[tuple[int, ...], float] = {
        (a, b): rng.gauss(0, spread(a)) for a in range(options) for b in range(options)
    }
    return Factor(scope, table)


def _traps(spec: Spec, pairs: Sequence[Factor], rng: random.Random) -> dict[tuple[int, int, int, int], int]:
    """Option pairs that do not fit, with the kind of fault; the initial program has none."""
    found = {}
    for factor in pairs:
        i, j = factor.scope
        for a, b in factor.table:
            if (a, b) != (0, 0) and rng.random() < spec.traps:
                found[i, a, j, b] = rng.randrange(KINDS)
    return found

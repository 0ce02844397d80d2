"""Ways of changing a program, each a pure function of the program and a generator. Knows nothing of who asks and why."""

from __future__ import annotations

import ast
import math
import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from typing import NamedTuple

from evolve.llm.sites import Expression, Function, Number, Program, Vector, called, editable_lines, is_docstring


class Edit(NamedTuple):
    """Replace a range of bytes."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Move:
    """One mutation: what it does in words, where, and the edits that do it."""

    what: str
    line: int
    edits: tuple[Edit, ...]


Mutator = Callable[[Program, random.Random], Move | None]
"""Returns None where it finds nothing to work on, or nothing that would change."""
Crossover = Callable[[Program, Program, random.Random], Move | None]
"""Takes something of the second program into the first."""

OPERATORS: dict[type[ast.AST], tuple[str, tuple[str, ...]]] = {
    ast.Add: ("+", ("-", "*")),
    ast.Sub: ("-", ("+", "*")),
    ast.Mult: ("*", ("/", "+")),
    ast.Div: ("/", ("*", "-")),
    ast.FloorDiv: ("//", ("/", "*")),
    ast.Mod: ("%", ("//", "*")),
    ast.Pow: ("**", ("*",)),
    ast.Lt: ("<", ("<=", ">")),
    ast.LtE: ("<=", ("<", ">=")),
    ast.Gt: (">", (">=", "<")),
    ast.GtE: (">=", (">", "<=")),
    ast.Eq: ("==", ("!=",)),
    ast.NotEq: ("!=", ("==",)),
    ast.And: ("and", ("or",)),
    ast.Or: ("or", ("and",)),
}
"""How an operator is written, and what may take its place."""

FAMILIES = (
    ("min", "max"),
    ("minimum", "maximum"),
    ("argmin", "argmax"),
    ("any", "all"),
    ("floor", "ceil", "round"),
    ("sin", "cos", "tan"),
    ("sinh", "cosh", "tanh"),
    ("sqrt", "log", "log1p", "exp", "abs"),
    ("sum", "max", "min"),
    ("mean", "median", "max", "min"),
)
"""Functions that can stand for each other, all called with the same arguments."""


def scale_of(rng: random.Random) -> float:
    """A relative step size: mostly a few per cent, at times a hundred times finer or coarser."""
    return float(10 ** rng.triangular(-4.0, 0.3, -1.3))


def perturbed(number: Number, rng: random.Random) -> int | float:
    """A value near that of a literal; the same kind of number where a whole one is wanted."""
    if isinstance(number.value, int) and (number.whole or not number.arithmetic or rng.random() < 0.5):
        return near_int(number.value, rng)
    return near_float(number.value, rng)


def near_int(value: int, rng: random.Random) -> int:
    size = abs(value)
    steps = [1, 1, 1, rng.randint(2, 4)]
    if size >= 4:
        steps += [size // 2, size]
    if size >= 30:
        steps += [max(1, round(size * abs(rng.gauss(0, 1)) * scale_of(rng)))] * 3
    step = rng.choice(steps)
    down = value > 0 and (value > 1 or rng.random() < 0.3) and rng.random() < 0.5
    return max(value - step, 0) if down else value + step


def near_float(value: float, rng: random.Random) -> float:
    scale = scale_of(rng)
    if value == 0 or rng.random() < 0.3:
        return stepped(value, rng.gauss(0, 1) * scale * 0.5)
    return stepped(value, value * (math.exp(min(rng.gauss(0, 1) * scale, 20.0)) - 1))


def stepped(value: float, step: float) -> float:
    """`value + step`, written with no more digits than the step gives meaning to."""
    if step == 0 or not math.isfinite(value + step):
        return value
    digits = 2 - math.floor(math.log10(abs(step)))
    return float(round(value + step, min(digits, 15)))


def perturb_literal(program: Program, rng: random.Random) -> Move | None:
    if not program.numbers:
        return None
    number = rng.choice(program.numbers)
    value = perturbed(number, rng)
    if value == number.value:
        return None
    return Move(_replacing(number.value, value), number.node.lineno, (_set(program, number, value),))


def _replacing(old: float, new: float) -> str:
    if old > 0 and new > 0 and isinstance(old, float):
        return f"multiply literal {old!r} by {new / old:.6g}"
    return f"replace literal {old!r} by {new!r}"


def jitter_vector(program: Program, rng: random.Random) -> Move | None:
    """Shift several numbers of one vector at once: one row, some of them, or all."""
    if not program.vectors:
        return None
    vector = rng.choice(program.vectors)
    columns = vector.measures
    rows = len(columns[0])
    few = min(rows, rng.choice((1, 1, 1, 2, 2, 3, max(1, rows // 4), rows)))
    chosen, scale = rng.sample(range(rows), few), scale_of(rng) * 0.5
    changes = [(column[index], _shifted(column, index, scale, rng)) for column in columns for index in chosen]
    return _rewrite(program, vector, changes, f"steps of {scale:.2g}")


def move_row(program: Program, rng: random.Random) -> Move | None:
    """Put one row of a vector anywhere between the vector's smallest and largest values, or in another row's place."""
    vectors = [vector for vector in program.vectors if len(vector.rows) >= 3]
    if not vectors:
        return None
    vector = rng.choice(vectors)
    columns = vector.measures
    first, second = rng.sample(range(len(columns[0])), 2)
    if rng.random() < 0.3:
        changes = [change for column in columns for change in _exchanged(column[first], column[second])]
        return _rewrite(program, vector, changes, f"exchange elements {first} and {second}")
    changes = [(column[first], _between(column, rng)) for column in columns]
    return _rewrite(program, vector, changes, f"move element {first}")


def shift_count(program: Program, rng: random.Random) -> Move | None:
    """Take from one whole number of a vector what another gets: their sum stays."""
    columns = [(vector, column) for vector in program.vectors for column in vector.counts if len(column) >= 2]
    if not columns:
        return None
    vector, column = rng.choice(columns)
    first, second = rng.sample(column, 2)
    most = int(first.value)
    if most < 1:
        return None
    amount = rng.choice((1, 1, 1, rng.randint(1, most)))
    return _rewrite(program, vector, [(first, most - amount), (second, second.value + amount)], f"shift {amount}")


def split_row(program: Program, rng: random.Random) -> Move | None:
    """Make two rows of one, the second a little different, and share its whole numbers between them."""
    tables = [vector for vector in program.vectors if vector.counts and len(vector.columns) > 1]
    if not tables:
        return None
    vector = rng.choice(tables)
    index = rng.randrange(len(vector.rows))
    edits, inserted = [], []
    for column in vector.counts:
        whole = int(column[index].value)
        if whole < 2:
            return None
        part = rng.randint(1, whole - 1)
        edits.append(_set(program, column[index], whole - part))
        inserted.append(_set(program, column[index], part))
    scale = scale_of(rng)
    for column in vector.measures:
        if column not in vector.counts and rng.random() < 0.5:
            inserted.append(_set(program, column[index], _shifted(column, index, scale, rng)))
    start, end = program.span(vector.node.elts[index])
    line = program.offsets[vector.node.elts[index].lineno - 1]
    before = program.raw[line:start]
    gap = " " if before.strip() else program.newline + before.decode()
    edits.append(Edit(end, end, f",{gap}{apply(program.raw, inserted, start, end)}"))
    return Move(f"split element {index} of a vector", vector.node.lineno, tuple(edits))


def _exchanged(one: Number, other: Number) -> tuple[tuple[Number, int | float], ...]:
    return (one, other.value), (other, one.value)


def _copied(to: Sequence[Number], source: Sequence[Number]) -> list[tuple[Number, int | float]]:
    return [(number, taken.value) for number, taken in zip(to, source, strict=True)]


def _between(column: Sequence[Number], rng: random.Random) -> int | float:
    values = [item.value for item in column]
    if all(isinstance(value, int) for value in values):
        return rng.randint(int(min(values)), int(max(values)))
    return round(rng.uniform(min(values), max(values)), 4)


def _shifted(column: Sequence[Number], index: int, scale: float, rng: random.Random) -> int | float:
    """A number of a column moved by `scale` times the mean size of the column; a column of zeros has size 1."""
    value = column[index].value
    size = sum(abs(number.value) for number in column) / len(column) or 1.0
    shift = rng.gauss(0, 1) * scale * size
    if all(isinstance(number.value, int) for number in column):
        return value + (round(shift) or rng.choice((-1, 1)))
    return stepped(value, shift)


def _rewrite(program: Program, vector: Vector, changes: Iterable[tuple[Number, int | float]], how: str) -> Move | None:
    edits = tuple(_set(program, number, value) for number, value in changes if value != number.value)
    if not edits:
        return None
    return Move(f"change {len(edits)} literals of one vector ({how})", vector.node.lineno, edits)


def _set(program: Program, number: Number, value: float) -> Edit:
    return _put(program, number.node, repr(value), bare=number.bare or value >= 0)


def _put(program: Program, node: ast.expr, text: str, *, bare: bool = False) -> Edit:
    """Replace an expression, in parentheses unless it can do without or has them already."""
    start, end = program.span(node)
    enclosed = program.raw[start - 1 : start] == b"(" and program.raw[end : end + 1] == b")"
    return Edit(start, end, text if bare or enclosed else f"({text})")


def reuse_literal(program: Program, rng: random.Random) -> Move | None:
    """Replace a number by another number of the program."""
    if len(program.numbers) < 2:
        return None
    number, other = rng.sample(program.numbers, 2)
    if number.value == other.value or (number.whole and not isinstance(other.value, int)):
        return None
    what = f"replace literal {number.value!r} by {other.value!r} of line {other.node.lineno}"
    return Move(what, number.node.lineno, (_set(program, number, other.value),))


def swap_operator(program: Program, rng: random.Random) -> Move | None:
    if not program.operations:
        return None
    node = rng.choice(program.operations)
    match node:
        case ast.BinOp(left=left, op=op, right=right):
            before, after = left, right
        case ast.AugAssign(target=target, op=op, value=value):
            before, after = target, value
        case ast.BoolOp(op=op, values=[first, second]):
            before, after = first, second
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            before, after = left, right
        case _:
            return None
    if type(op) not in OPERATORS:
        return None
    old, others = OPERATORS[type(op)]
    start, end = program.span(before)[1], program.span(after)[0]
    gap = program.raw[start:end].decode()
    at = gap.find(old)
    if at < 0 or "#" in gap:
        return None
    new = rng.choice(others)
    start += len(gap[:at].encode())
    return Move(f"replace operator {old} by {new}", node.lineno, (Edit(start, start + len(old), new),))


def swap_function(program: Program, rng: random.Random) -> Move | None:
    """Call a sibling of a well-known function, e.g. max for min."""
    calls = [call for call in program.calls if any(called(call) in family for family in FAMILIES)]
    if not calls:
        return None
    call = rng.choice(calls)
    old = called(call)
    new = rng.choice([name for family in FAMILIES if old in family for name in family if name != old])
    end = program.span(call.func)[1]
    return Move(f"call {new} for {old}", call.lineno, (Edit(end - len(old), end, new),))


def negate_condition(program: Program, rng: random.Random) -> Move | None:
    if not program.conditions:
        return None
    test = rng.choice(program.conditions)
    text = program.text(test)
    return Move(f"negate condition {_short(text)}", test.lineno, (_put(program, test, f"not ({text})"),))


def change_loop(program: Program, rng: random.Random) -> Move | None:
    """Let a loop over a range run more or less often."""
    loops = [call for call in program.calls if called(call) == "range" and 1 <= len(call.args) <= 2]
    if not loops:
        return None
    count = rng.choice(loops).args[-1]
    text = program.text(count)
    if isinstance(count, ast.Constant) and isinstance(count.value, int) and count.value < 2**62:
        new = str(rng.choice((count.value + 1, max(count.value - 1, 0), count.value * 2, count.value * 5)))
    else:
        new = rng.choice(("({}) + 1", "({}) - 1", "({}) * 2", "({}) // 2")).format(text)
    return Move(f"loop over {_short(new)} for {_short(text)}", count.lineno, (Edit(*program.span(count), new),))


def reuse_expression(program: Program, rng: random.Random) -> Move | None:
    """Replace an expression by another of the same function."""
    if not program.expressions:
        return None
    target = rng.choice(program.expressions)
    old = program.text(target.node)
    others = [item for item in program.expressions if item.scope == target.scope and item.whole == target.whole]
    new = program.text(rng.choice(others).node)
    if new == old:
        return None
    what = f"replace {_short(old)} by {_short(new)}"
    return Move(what, target.node.lineno, (_put(program, target.node, new, bare=target.bare),))


def wrap_expression(program: Program, rng: random.Random) -> Move | None:
    """Scale or shift the value of an expression."""
    if not program.expressions:
        return None
    target = rng.choice(program.expressions)
    tail = _adjustment(target, rng)
    old = program.text(target.node)
    return Move(f"make {_short(old)} {tail}", target.node.lineno, (_append(program, target, tail),))


def _adjustment(target: Expression, rng: random.Random) -> str:
    if target.whole:
        return rng.choice(("+ 1", "- 1"))
    step = float(f"{rng.gauss(0, 1) * scale_of(rng):.3g}")
    if rng.random() < 0.5:
        return f"* {stepped(1.0, step)!r}"
    return f"+ {step!r}" if step > 0 else f"- {-step!r}"


def _append(program: Program, target: Expression, tail: str) -> Edit:
    text = program.text(target.node)
    inner = text if isinstance(target.node, ast.Name | ast.Call) else f"({text})"
    return _put(program, target.node, f"{inner} {tail}", bare=target.bare)


def combine_expressions(program: Program, rng: random.Random) -> Move | None:
    """Let an expression depend on another of the same function: add a share of it, multiply by it, or branch on it."""
    targets = [item for item in program.expressions if not item.whole]
    if not targets:
        return None
    target = rng.choice(targets)
    other = program.text(rng.choice([item for item in targets if item.scope == target.scope]).node)
    old, share = program.text(target.node), stepped(0.0, rng.gauss(0, 1) * scale_of(rng) * 3)
    new = rng.choice(
        (
            f"({old}) + {share!r} * ({other})",
            f"({old}) * ({other})",
            f"({old}) if ({other}) < {abs(share)!r} else ({old}) * {stepped(1.0, share)!r}",
            f"max(({old}), {share!r} * ({other}))",
        )
    )
    return Move(f"replace {_short(old)} by {_short(new)}", target.node.lineno, (_put(program, target.node, new),))


def insert_parameter(program: Program, rng: random.Random) -> Move | None:
    """Scale one or two expressions of a function by a new variable set at its start."""
    functions = [index for index, function in enumerate(program.functions) if function in program.whole_functions]
    if not functions:
        return None
    scope = rng.choice(functions)
    body = program.functions[scope].body
    top = body[1] if is_docstring(body[0]) and len(body) > 1 else body[0]
    start = _line_start(program, top)
    targets = [
        item
        for item in program.expressions
        if item.scope == scope and not item.whole and item.node.lineno >= top.lineno
    ]
    if start is None or not targets:
        return None
    chosen = rng.sample(targets, min(len(targets), rng.randint(1, 2)))
    name = _fresh_name(program)
    value = stepped(1.0, rng.gauss(0, 1) * scale_of(rng))
    at, indent = start
    edits = [Edit(at, at, f"{indent}{name} = {value!r}{program.newline}")]
    edits += [_append(program, item, f"* {name}") for item in chosen]
    return None if _clash(edits) else Move(f"insert parameter {name} = {value!r}", top.lineno, tuple(edits))


def _clash(edits: Sequence[Edit]) -> bool:
    """Whether an edit lies in another one."""
    ordered = sorted(edits)
    return any(one.end > other.start for one, other in pairwise(ordered))


def _fresh_name(program: Program) -> str:
    taken = {int(digits) for digits in re.findall(rb"\bfactor_(\d{1,9})\b", program.raw)}
    return f"factor_{max(taken, default=0) + 1}"


def nudge_element(program: Program, rng: random.Random) -> Move | None:
    """After a loop that fills a container, change one of its elements."""
    loose = (body.statements[index] for body in program.bodies for index in body.loose)
    loops = [statement for statement in loose if isinstance(statement, ast.For)]
    inner = {node for loop in loops for node in ast.walk(loop) if node is not loop}
    filling = [(loop, stored) for loop in loops if loop not in inner and (stored := _stored_in_loop(loop))]
    if not filling:
        return None
    loop, (name, value) = rng.choice(filling)
    start = _line_start(program, loop)
    if start is None:
        return None
    counts = [number.value for number in program.numbers if isinstance(number.value, int) and 0 < number.value <= 100]
    element = f"{name}[{rng.randrange(max(counts, default=4))}]"
    step = float(f"{rng.gauss(0, 1) * scale_of(rng) * 0.5:.3g}")
    match value:
        case ast.List(elts=[_, *_]):
            statement = f"{element}[{rng.randrange(len(value.elts))}] += {step!r}"
        case ast.Tuple(elts=[_, *_]):
            parts = [f"{element}[{place}]" for place in range(len(value.elts))]
            parts[rng.randrange(len(parts))] += f" + {step!r}"
            statement = f"{element} = ({', '.join(parts)},)"
        case _:
            statement = f"{element} += {step!r}"
    end = program.span(loop)[1]
    return Move(f"insert {statement}", loop.lineno, (Edit(end, end, f"{program.newline}{start[1]}{statement}"),))


def _stored_in_loop(loop: ast.For) -> tuple[str, ast.expr] | None:
    """Name of the first container a loop fills, and what it puts there."""
    for node in ast.walk(loop):
        match node:
            case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name), slice=index)], value=value):
                if not isinstance(index, ast.Slice | ast.Tuple):
                    return name, value
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append"), args=[value]):
                return name, value
    return None


def copy_statement(program: Program, rng: random.Random) -> Move | None:
    """Repeat a statement right after itself, its copy's numbers changed a little."""
    node = _pick_statement(program, rng)
    start = None if node is None else _line_start(program, node)
    if node is None or start is None or isinstance(node, ast.Return):
        return None
    first, end = program.span(node)
    inside = [number for number in program.numbers if node.lineno <= number.node.lineno <= (node.end_lineno or 0)]
    inside = [number for number in inside if first <= program.span(number.node)[0] < end]
    changed = rng.sample(inside, min(len(inside), rng.randint(0, 2)))
    edits = [_set(program, number, perturbed(number, rng)) for number in changed]
    text = apply(program.raw, edits, first, end)
    edit = Edit(end, end, f"{program.newline}{start[1]}{text}")
    return Move(f"repeat {_short(text)}", node.lineno, (edit,))


def delete_statement(program: Program, rng: random.Random) -> Move | None:
    node = _pick_statement(program, rng)
    if node is None or isinstance(node, ast.Return | ast.Pass):
        return None
    return Move(f"drop {_short(program.text(node))}", node.lineno, (Edit(*program.span(node), "pass"),))


def swap_statements(program: Program, rng: random.Random) -> Move | None:
    """Exchange two neighbours."""
    pairs = [
        (body.statements[index], body.statements[index + 1])
        for body in program.bodies
        for index in body.loose
        if index + 1 in body.loose
    ]
    if not pairs:
        return None
    first, second = rng.choice(pairs)
    if _line_start(program, first) is None or _line_start(program, second) is None:
        return None
    one, other = program.text(first), program.text(second)
    edits = (Edit(*program.span(first), other), Edit(*program.span(second), one))
    return Move(f"exchange {_short(one)} and {_short(other)}", first.lineno, edits)


def _pick_statement(program: Program, rng: random.Random) -> ast.stmt | None:
    if not program.bodies:
        return None
    body = rng.choice(program.bodies)
    return body.statements[rng.choice(body.loose)]


def _line_start(program: Program, node: ast.stmt) -> tuple[int, str] | None:
    """Offset and indentation of the line a statement starts; None if it does not start one."""
    at = program.offsets[node.lineno - 1]
    indent = program.raw[at : program.span(node)[0]]
    return None if indent.strip(b" \t") else (at, indent.decode())


def cross_function(program: Program, other: Program, rng: random.Random) -> Move | None:
    """Take a function of the same name from another program."""
    theirs = {function.name: function for function in other.functions}
    pairs: list[tuple[Function, str]] = []
    for function in program.whole_functions:
        match = theirs.get(function.name)
        if match is not None and match.col_offset == function.col_offset and type(match) is type(function):
            text = other.text(match)
            if text != program.text(function):
                pairs.append((function, text))
    if not pairs:
        return None
    function, text = rng.choice(pairs)
    return Move(f"take function {function.name}", function.lineno, (Edit(*program.span(function), text),))


def cross_vector(program: Program, other: Program, rng: random.Random) -> Move | None:
    """Take the vector of the same shape and place from another program: whole, some of its rows, or a mean with it."""
    pairs = [
        pair
        for shape in dict.fromkeys(vector.shape for vector in program.vectors)
        for pair in zip(_shaped(program, shape), _shaped(other, shape), strict=False)
    ]
    if not pairs:
        return None
    mine, theirs = rng.choice(pairs)
    share = rng.choice((1.0, 0.5, rng.random()))
    blend = rng.random() < 0.3
    changes: list[tuple[Number, int | float]] = []
    for row, taken in zip(mine.rows, theirs.rows, strict=True):
        if blend:
            changes += [(a, _mixed(a, b, share)) for a, b in zip(row, taken, strict=True)]
        elif rng.random() < share:
            changes += _copied(row, taken)
    return _rewrite(program, mine, changes, f"{'mean with' if blend else 'taken from'} line {theirs.node.lineno}")


def _shaped(program: Program, shape: tuple[int, ...]) -> list[Vector]:
    return [vector for vector in program.vectors if vector.shape == shape]


def cross_literals(program: Program, other: Program, rng: random.Random) -> Move | None:
    """Take some of the numbers of a program that has as many."""
    if len(program.numbers) != len(other.numbers):
        return None
    differ = [(a, b) for a, b in zip(program.numbers, other.numbers, strict=True) if a.value != b.value]
    if not differ:
        return None
    chosen = [pair for pair in differ if rng.random() < 0.5] or differ[:1]
    edits = tuple(_set(program, mine, theirs.value) for mine, theirs in chosen)
    return Move(f"take {len(edits)} of {len(differ)} literals that differ", chosen[0][0].node.lineno, edits)


def take_lines(program: Program, other: Program, rng: random.Random) -> Move | None:
    """Make one group of neighbouring lines as they are in another program."""
    mine, theirs = program.raw.splitlines(keepends=True), other.raw.splitlines(keepends=True)
    blocks = editable_lines(program.raw)
    groups = [
        (first, last, b"".join(theirs[other_first:other_last]))
        for tag, first, last, other_first, other_last in SequenceMatcher(
            None, mine, theirs, autojunk=False
        ).get_opcodes()
        if tag != "equal" and any(start - 1 <= first and last <= end for start, end in blocks)
    ]
    if not groups:
        return None
    first, last, text = rng.choice(groups)
    edit = Edit(program.offsets[first], program.offsets[last], text.decode())
    return Move("take the lines", first + 1, (edit,))


def _mixed(mine: Number, theirs: Number, share: float) -> int | float:
    value = mine.value + share * (theirs.value - mine.value)
    return round(value) if isinstance(mine.value, int) else round(value, 6)


def apply(raw: bytes, edits: Iterable[Edit], start: int = 0, end: int | None = None) -> str:
    """The text from `start` to `end` with edits made; none may overlap another."""
    parts: list[bytes] = []
    for edit in sorted(edits):
        parts += [raw[start : edit.start], edit.text.encode()]
        start = edit.end
    return b"".join([*parts, raw[start : len(raw) if end is None else end]]).decode()


def overlap(one: Iterable[Edit], other: Sequence[Edit]) -> bool:
    """Whether two groups of edits touch the same bytes; insertions at one place count as touching."""
    return any(a.start <= b.end and b.start <= a.end for a in one for b in other)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return f"`{line}`" if len(line) <= 40 else f"`{line[:37]}...`"

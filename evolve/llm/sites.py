"""Where a Python program can be edited: its numbers, expressions and statements with their byte ranges.

Draws nothing and changes nothing; `evolve.llm.mutators` does.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

START = re.compile(rb"\W*EVOLVE-BLOCK-START\b")
END = re.compile(rb"\W*EVOLVE-BLOCK-END\b")

Function = ast.FunctionDef | ast.AsyncFunctionDef

ARITHMETIC = frozenset({ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.FloorDiv, ast.Mod})
ORDER = frozenset({ast.Lt, ast.LtE, ast.Gt, ast.GtE})
BARE = frozenset(
    {
        ast.List,
        ast.Tuple,
        ast.Dict,
        ast.Assign,
        ast.AugAssign,
        ast.AnnAssign,
        ast.Call,
        ast.keyword,
        ast.Return,
        ast.Subscript,
        ast.Slice,
        ast.arguments,
    }
)
"""Parents around whose children no parentheses are needed."""
COUNTING = frozenset({"range", "zeros", "ones", "empty", "full", "reshape", "islice", "randrange", "randint"})
"""Calls whose arguments must stay whole numbers."""
FIXED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal)
"""Statements that are neither moved, copied nor dropped."""
OPAQUE = (ast.Import, ast.ImportFrom, ast.Raise)
"""Statements that are not looked into."""
SKIPPED = frozenset({"annotation", "returns", "decorator_list", "bases", "pattern", "type_params", "ctx", "op", "ops"})
"""Fields in which an edit changes no behaviour or nearly always breaks the program."""
PLAIN = frozenset({"arg", "attr", "id", "is_async", "kind", "name", "names", "simple", "type_comment"})
"""Fields that hold no nodes."""
NO_VALUE = frozenset({"func", "keys", "target", "targets"})
"""Fields in which no other value could stand."""


class Number(NamedTuple):
    """A numeric literal, a minus sign before it included."""

    node: ast.expr
    value: int | float
    bare: bool
    """Whether a negative value can stand here without parentheses."""
    whole: bool
    """Whether only a whole number makes sense, as in an index or a loop count."""
    arithmetic: bool


class Vector(NamedTuple):
    """A list or tuple of numbers, or of such lists, e.g. of points."""

    node: ast.List | ast.Tuple
    rows: tuple[tuple[Number, ...], ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(row) for row in self.rows)

    @property
    def columns(self) -> list[tuple[Number, ...]]:
        """What stands at the same place of all rows; everything, where rows differ in length."""
        if len(set(self.shape)) == 1:
            return list(zip(*self.rows, strict=True))
        return [tuple(number for row in self.rows for number in row)]

    @property
    def counts(self) -> list[tuple[Number, ...]]:
        """The columns with whole numbers only."""
        return [column for column in self.columns if all(isinstance(number.value, int) for number in column)]

    @property
    def measures(self) -> list[tuple[Number, ...]]:
        """The other columns; all of them, where there is no other."""
        counts = self.counts
        return [column for column in self.columns if column not in counts] or counts


class Expression(NamedTuple):
    """A value that is read and most likely a number."""

    node: ast.expr
    scope: int
    """Index in `Program.functions`; -1 outside of all."""
    bare: bool
    whole: bool


class Body(NamedTuple):
    """The statements of one block that may be moved, copied or dropped, next to each other or not."""

    statements: tuple[ast.stmt, ...]
    loose: tuple[int, ...]
    """Indices of those that may."""


@dataclass(frozen=True, slots=True)
class Program:
    """A parsed source with everything in it that may be edited, in source order."""

    raw: bytes
    tree: ast.Module
    offsets: tuple[int, ...]
    """Byte offset of each line."""
    numbers: list[Number] = field(default_factory=list)
    vectors: list[Vector] = field(default_factory=list)
    expressions: list[Expression] = field(default_factory=list)
    operations: list[ast.BinOp | ast.BoolOp | ast.Compare | ast.AugAssign] = field(default_factory=list)
    calls: list[ast.Call] = field(default_factory=list)
    conditions: list[ast.expr] = field(default_factory=list)
    bodies: list[Body] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    whole_functions: list[Function] = field(default_factory=list)
    """Those that may be replaced as a whole."""

    def span(self, node: ast.expr | ast.stmt | ast.arg) -> tuple[int, int]:
        """First byte of a node and the byte after its last."""
        end_line, end_column = node.end_lineno, node.end_col_offset
        assert end_line is not None
        assert end_column is not None
        return self.offsets[node.lineno - 1] + node.col_offset, self.offsets[end_line - 1] + end_column

    def text(self, node: ast.expr | ast.stmt) -> str:
        start, end = self.span(node)
        return self.raw[start:end].decode()

    @property
    def size(self) -> int:
        """How much there is to edit."""
        return len(self.numbers) + len(self.expressions) + len(self.operations) + len(self.bodies)

    @property
    def newline(self) -> str:
        return "\r\n" if b"\r\n" in self.raw else "\n"


def has_markers(text: str) -> bool:
    return "EVOLVE-BLOCK" in text and any(
        START.match(line) or END.match(line) for line in text.encode("utf-8", "surrogatepass").splitlines()
    )


def editable_lines(raw: bytes) -> list[tuple[int, int]]:
    """First and last line (from 1) of each text between markers; the whole file when it has none.

    A block that is never closed is no block.
    """
    blocks: list[tuple[int, int]] = []
    opened: int | None = None
    marked = False
    lines = raw.splitlines()
    for number, line in enumerate(lines, 1):
        if START.match(line):
            opened, marked = number, True
        elif END.match(line):
            marked = True
            if opened is not None:
                blocks.append((opened + 1, number - 1))
            opened = None
    return blocks if marked else [(1, len(lines))]


def parse_tree(text: str) -> ast.Module | None:
    """The syntax tree, or None if the text is not valid Python."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


@lru_cache(maxsize=8)
def parse(text: str) -> Program | None:
    """The program with its sites, or None if it is not valid Python. Shared by threads: read only."""
    tree = parse_tree(text)
    if tree is None:
        return None
    raw = text.encode()
    offsets = tuple(accumulate((len(line) for line in raw.splitlines(keepends=True)), initial=0))
    program = Program(raw, tree, offsets)
    _collect(program, editable_lines(raw))
    return program


def same_program(one: Program, tree: ast.Module, text: str) -> bool:
    """Whether a tree and its text are the same program but for formatting and comments.

    Looks only at what follows the first line that differs and stops at the first difference, unlike comparing
    `ast.dump` of both.
    """
    lines, other_lines = one.raw.splitlines(), text.encode().splitlines()
    first = next((n for n, (a, b) in enumerate(zip(lines, other_lines, strict=False), 1) if a != b), None)
    if first is None:
        first = min(len(lines), len(other_lines)) + 1
    pairs: list[tuple[object, object]] = [(one.tree, tree)]
    while pairs:
        left, right = pairs.pop()
        if type(left) is not type(right):
            return False
        if isinstance(left, ast.AST):
            if isinstance(left, ast.stmt) and isinstance(right, ast.stmt):
                ends = (left.end_lineno, right.end_lineno)
                if all(end is not None and end < first for end in ends):
                    continue
            pairs.extend([(getattr(left, name, None), getattr(right, name, None)) for name in reversed(left._fields)])
        elif isinstance(left, list) and isinstance(right, list):
            if len(left) != len(right):
                return False
            pairs.extend(zip(reversed(left), reversed(right), strict=True))
        elif left != right:
            return False
    return True


class _Place(NamedTuple):
    """What the surroundings of a node say about it."""

    scope: int = -1
    value: bool = False
    """Whether another value could stand here."""
    bare: bool = False
    arithmetic: bool = False
    whole: bool = False


_Visit = tuple[ast.AST, _Place, bool]
"""A node, its place, and whether it is known to lie where edits may be made."""


def _collect(program: Program, blocks: list[tuple[int, int]]) -> None:
    """Fill the program's lists. Iterative: an expression can be nested deeper than Python's stack."""
    tops = [node for node in program.tree.body if not _is_main_guard(node)] or program.tree.body
    _add_body(program, tops, blocks)
    stack: list[_Visit] = [(node, _Place(), False) for node in reversed(tops)]
    while stack:
        node, place, inside = stack.pop()
        if not inside and isinstance(node, (ast.expr, ast.stmt)):
            inside, touched = _where(node, blocks)
            if not touched:
                continue
        if isinstance(node, (ast.stmt, ast.ExceptHandler, ast.match_case)):
            if isinstance(node, OPAQUE) or is_docstring(node):
                continue
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                place = _Place(scope=len(program.functions))
                program.functions.append(node)
                if inside:
                    program.whole_functions.append(node)
            for name in ("body", "orelse", "finalbody"):
                _add_body(program, getattr(node, name, ()), blocks)
        note = NOTES.get(type(node)) if inside else None
        if note is None or not note(program, node, place):
            stack += _children(node, place, inside)


def _where(node: ast.expr | ast.stmt, blocks: list[tuple[int, int]]) -> tuple[bool, bool]:
    """Whether a node lies in a block, and whether it touches one."""
    first, last = node.lineno, node.end_lineno or node.lineno
    touched = False
    for start, end in blocks:
        if start <= first and last <= end:
            return True, True
        touched = touched or (first <= end and last >= start)
    return False, touched


def _is_main_guard(node: ast.stmt) -> bool:
    """`if __name__ == ...`: how a program is started, not what it does."""
    if not (isinstance(node, ast.If) and isinstance(node.test, ast.Compare)):
        return False
    return isinstance(node.test.left, ast.Name) and node.test.left.id == "__name__"


def is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _add_body(program: Program, statements: Iterable[ast.stmt], blocks: list[tuple[int, int]]) -> None:
    body = tuple(statements)
    loose = tuple(
        index
        for index, node in enumerate(body)
        if not isinstance(node, FIXED) and not is_docstring(node) and _where(node, blocks)[0]
    )
    if loose:
        program.bodies.append(Body(body, loose))


def _fields(kind: type[ast.AST]) -> tuple[tuple[str, bool], ...]:
    """The fields of a kind of node that hold nodes worth a look, and whether another value could stand there."""
    if kind is ast.JoinedStr:
        return ()  # its parts have no reliable positions before Python 3.12
    names = (name for name in kind._fields if name not in SKIPPED and name not in PLAIN)
    return tuple((name, kind is not ast.Attribute and name not in NO_VALUE) for name in names)


FIELDS = {kind: _fields(kind) for kind in vars(ast).values() if isinstance(kind, type) and issubclass(kind, ast.AST)}


def _children(node: ast.AST, place: _Place, inside: bool) -> list[_Visit]:
    """What is directly in a node, last first."""
    kind = type(node)
    whole = place.whole or (isinstance(node, ast.Call) and called(node) in COUNTING)
    hidden = _Place(place.scope, whole=whole)
    value = _Place(place.scope, True, kind in BARE, _in_arithmetic(node), whole)
    found: list[_Visit] = []
    for name, readable in FIELDS[kind]:
        child = getattr(node, name)
        inner = value if readable else hidden
        if name == "slice":
            inner = inner._replace(whole=True)
        if isinstance(child, list):
            found += [(item, inner, inside) for item in child if isinstance(item, ast.AST)]
        elif isinstance(child, ast.AST):
            found.append((child, inner, inside))
    found.reverse()
    return found


def _note_number(program: Program, node: ast.Constant | ast.UnaryOp, place: _Place) -> bool:
    number = _number(node, place)
    if number is None:
        negative = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
        return isinstance(node, ast.Constant) or _note_expression(program, node, place._replace(arithmetic=negative))
    program.numbers.append(number)
    if place.value and place.arithmetic:
        program.expressions.append(Expression(node, place.scope, place.bare, place.whole))
    return True


def _note_vector(program: Program, node: ast.List | ast.Tuple, place: _Place) -> bool:
    vector = _vector(node, place)
    if vector is None:
        return False
    program.vectors.append(vector)
    program.numbers.extend(number for row in vector.rows for number in row)
    return True


def _note_operation(
    program: Program, node: ast.BinOp | ast.BoolOp | ast.Compare | ast.AugAssign, place: _Place
) -> bool:
    program.operations.append(node)
    if place.value and isinstance(node, ast.BinOp) and _in_arithmetic(node):
        program.expressions.append(Expression(node, place.scope, place.bare, place.whole))
    return False


def _note_expression(program: Program, node: ast.expr, place: _Place) -> bool:
    if isinstance(node, ast.Call):
        program.calls.append(node)
    if place.value and place.arithmetic:
        program.expressions.append(Expression(node, place.scope, place.bare, place.whole))
    return isinstance(node, ast.Name)


def _note_condition(program: Program, node: ast.If | ast.While | ast.IfExp, place: _Place) -> bool:
    program.conditions.append(node.test)
    return isinstance(node, ast.expr) and _note_expression(program, node, place)


NOTES: dict[type[ast.AST], Callable[[Program, Any, _Place], bool]] = {
    ast.Constant: _note_number,
    ast.UnaryOp: _note_number,
    ast.List: _note_vector,
    ast.Tuple: _note_vector,
    ast.BinOp: _note_operation,
    ast.BoolOp: _note_operation,
    ast.Compare: _note_operation,
    ast.AugAssign: _note_operation,
    ast.Name: _note_expression,
    ast.Call: _note_expression,
    ast.Subscript: _note_expression,
    ast.Attribute: _note_expression,
    ast.If: _note_condition,
    ast.While: _note_condition,
    ast.IfExp: _note_condition,
}
"""What to note of each kind of node; each says whether there is nothing more to find inside it."""


def _in_arithmetic(parent: ast.AST) -> bool:
    """Whether what stands directly in a node is a number to it."""
    if isinstance(parent, (ast.BinOp, ast.AugAssign)):
        left = parent.left if isinstance(parent, ast.BinOp) else parent.target
        formatting = isinstance(left, ast.JoinedStr) or isinstance(getattr(left, "value", None), (str, bytes))
        return type(parent.op) in ARITHMETIC and not formatting
    if isinstance(parent, ast.UnaryOp):
        return isinstance(parent.op, ast.USub)
    return isinstance(parent, ast.Compare) and type(parent.ops[0]) in ORDER


def _number(node: ast.expr, place: _Place) -> Number | None:
    literal, sign = (node.operand, -1) if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else (node, 1)
    if not isinstance(literal, ast.Constant):
        return None
    value = literal.value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if value.bit_length() > 62 if isinstance(value, int) else not math.isfinite(value):
        return None
    return Number(node, sign * value, place.bare, place.whole, place.arithmetic)


def _vector(node: ast.List | ast.Tuple, place: _Place) -> Vector | None:
    """The node as rows of numbers, or None if anything else is in it or it has fewer than three."""
    inside = _Place(bare=True, whole=place.whole)
    rows: list[tuple[Number, ...]] = []
    for item in node.elts:
        row = _leaves(item, inside, depth=2)
        if row is None:
            return None
        rows.append(row)
    return Vector(node, tuple(rows)) if sum(map(len, rows)) >= 3 else None


def _leaves(node: ast.expr, place: _Place, *, depth: int) -> tuple[Number, ...] | None:
    number = _number(node, place)
    if number is not None:
        return (number,)
    if depth == 0 or not isinstance(node, (ast.List, ast.Tuple)):
        return None
    found: list[Number] = []
    for item in node.elts:
        leaves = _leaves(item, place, depth=depth - 1)
        if leaves is None:
            return None
        found.extend(leaves)
    return tuple(found)


def called(node: ast.Call) -> str:
    """The name a call is made by, without the module or object before it."""
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""

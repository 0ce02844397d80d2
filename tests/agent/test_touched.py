"""Which parts of a program differ, whatever they look like."""

from __future__ import annotations

import pytest

from evolve.agent.touched import MOST_NAMES, touched

INITIAL = '''"""A program."""
import math

SIDE = 6
LOW, HIGH = 0, 1
rate: float = 0.5


def pack(n):
    """Place n circles."""
    total = 0
    return total + n


class Grid:
    size = 3


print(pack(SIDE))
'''


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("SIDE = 6", "SIDE = 5", ("SIDE",)),
        ("LOW, HIGH = 0, 1", "LOW, HIGH = 0, 2", ("HIGH", "LOW")),
        ("rate: float = 0.5", "rate: float = 0.4", ("rate",)),
        ("return total + n", "return total - n", ("pack",)),
        ("size = 3", "size = 4", ("Grid",)),
        ("class Grid:\n    size = 3\n", "", ("Grid",)),
        ("class Grid", "def more():\n    pass\n\n\nclass Grid", ("more",)),
        ("SIDE = 6", "SIDE = 6\nSIDE += 1", ("SIDE",)),
        ("print(pack(SIDE))", "print(pack(3))", ("program.py",)),
        ("print(pack(SIDE))", "print(pack(SIDE", ("program.py",)),
        ("import math", "import math, json", ()),
        ("total", "sum_of_all", ()),
        ('"""Place n circles."""', '"""Put them."""  # well', ()),
        ("A program", "The program", ()),
        ("def pack(n):", "def   pack( n ) :", ()),
    ],
)
def test_what_differs_is_named(old: str, new: str, names: tuple[str, ...]) -> None:
    assert touched({"program.py": INITIAL.replace(old, new)}, {"program.py": INITIAL}) == names


def test_other_files_are_named_by_their_path() -> None:
    initial = {"main.rs": "fn main() {}", "a.py": "x = 1\n", "b.py": "y = 1\n"}
    assert touched(initial, initial) == ()
    assert touched({"main.rs": "fn main() { }", "a.py": "x = 2\n", "new.py": "z = 1\n"}, initial) == (
        "main.rs",
        "x",
        "y",
        "z",
    )


def test_a_program_that_changed_all_over_names_so_many_parts() -> None:
    program = "".join(f"name_{number:03} = {number}\n" for number in range(100))
    assert len(touched({"a.py": program}, {"a.py": ""})) == MOST_NAMES

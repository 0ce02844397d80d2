"""Parts find their place in a program by name, and nothing else of it is lost."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.agent.merge import Merged, merge, names_of, undefined
from evolve.agent.replies import Refusal

PROGRAM = '''"""Pack circles."""
from __future__ import annotations

import json

# How many to a row.
SIDE = 6
LOW, HIGH = 0, 1


def gap(a, b):
    return a - b


@cached
def pack(n):
    return [gap(i, SIDE) for i in range(n)]


# The answer.
with open("answer.json", "w") as file:
    json.dump(pack(26), file)
'''


def merged(part: str, program: str = PROGRAM) -> str:
    found = merge(program, part)
    assert isinstance(found, Merged), found.reason
    ast.parse(found.text)
    return found.text


def test_a_function_takes_the_place_of_its_namesake() -> None:
    new = "def gap(a, b):\n    # nearer\n    return (a - b) / 2\n"
    assert merged(new) == PROGRAM.replace("def gap(a, b):\n    return a - b", new.rstrip("\n"))


def test_decorators_belong_to_the_function() -> None:
    text = merged("@lru_cache\n@timed\ndef pack(n):\n    return []\n")
    assert "@lru_cache\n@timed\ndef pack(n):\n    return []\n" in text
    assert "@cached" not in text


def test_helpers_go_before_the_first_part_that_may_need_them() -> None:
    text = merged("STEP = 0.1\n\n\n# Far.\ndef far(a):\n    return a\n\n\ndef pack(n):\n    return [far(STEP)] * n\n")
    assert text.index("STEP = 0.1") < text.index("# Far.\ndef far") < text.index("def pack")
    assert text.index("def gap") < text.index("STEP = 0.1")


def test_what_replaces_nothing_goes_after_the_last_function() -> None:
    text = merged("def area(r):\n    return r * r\n")
    assert text.index("[gap(i, SIDE)") < text.index("def area") < text.index("# The answer.")
    text = merged("STEP = 0.1\n")
    assert text.index("LOW, HIGH = 0, 1") < text.index("STEP = 0.1") < text.index("def gap")
    assert merged("STEP = gap(1, 2)\n").index("def pack") < merged("STEP = gap(1, 2)\n").index("STEP =")
    script = "import json\n\nx = 1\nprint(x)\n"
    assert merged("def f():\n    pass\n", script) == "import json\n\nx = 1\n\n\ndef f():\n    pass\nprint(x)\n"
    assert merged("def f():\n    pass\n", "x = 1").endswith("def f():\n    pass")


def test_imports_join_those_at_the_top_once() -> None:
    text = merged(
        "from __future__ import division\nimport json\nimport math, os as o\nfrom a import b\n\nSIDE = math.pi\n"
    )
    head = text[: text.index("# How")]
    assert head == (
        '"""Pack circles."""\nfrom __future__ import division\nfrom __future__ import annotations\n\n'
        "import json\nimport math\nimport os as o\nfrom a import b\n\n"
    )
    assert "SIDE = math.pi" in text


def test_examples_of_use_are_left_out_and_said_to_be() -> None:
    found = merge(PROGRAM, "def gap(a, b):\n    return 0\n\n\nif __name__ == '__main__':\n    print(gap(1, 2))\n")
    assert isinstance(found, Merged)
    assert "__main__" not in found.text
    assert found.notes == ("statements outside definitions were left out of a part",)


def test_statements_alone_replace_those_at_the_end() -> None:
    text = merged("import sys\n# Out.\nsys.stdout.write(str(pack(26)))\n")
    assert "import json\nimport sys\n" in text
    assert text.endswith("# Out.\nsys.stdout.write(str(pack(26)))\n")
    assert "json.dump" not in text
    assert merged("print(x)\n", "x = 1\n") == "x = 1\n\n\nprint(x)\n"
    assert merged("print(1)", "").strip() == "print(1)"


def test_a_whole_program_replaces_the_program() -> None:
    whole = PROGRAM.replace("26", "27")
    assert merged(whole) == whole


def test_a_name_that_shares_its_statement_is_not_torn_from_it() -> None:
    assert merge(PROGRAM, "LOW = 2\n") == Refusal("HIGH is defined in the same statement; write it, too")
    assert "LOW, HIGH = 2, 3\n" in merged("LOW, HIGH = 2, 3\n")
    text = merged("LOW = 2\nHIGH = 3\n")
    assert "LOW = 2\nHIGH = 3\n" in text
    assert "LOW, HIGH" not in text


def test_a_name_that_is_defined_under_a_condition_or_twice() -> None:
    program = "try:\n    import fast\nexcept ImportError:\n    fast = None\n\nx = 1\nx += 1\na = 1; b = 2\n"
    assert names_of(program) == {"fast", "x", "a", "b"}
    assert names_of("x = (") == frozenset()
    assert merged("fast = None\n", program) == "fast = None\n\nx = 1\nx += 1\na = 1; b = 2\n"
    assert merged("x = 3\n", program).count("x") == 1 + program.count("except")
    assert isinstance(merge(program, "a = 3\n"), Refusal)


@pytest.mark.parametrize(
    ("part", "why"), [("x = (", "cannot be read"), ("import json\n", "defines nothing"), ("", "nothing")]
)
def test_what_cannot_be_merged(part: str, why: str) -> None:
    found = merge(PROGRAM, part)
    assert isinstance(found, Refusal)
    assert why in found.reason


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (PROGRAM, {"cached"}),
        ("def f(a, *b, c=1, **d):\n    return a, b, c, d, e\n", {"e"}),
        ("import a.b as c, d.e\nfrom f import g as h\nc, d, h, g\n", {"g"}),
        ("try:\n    pass\nexcept E as e:\n    e\n", {"E"}),
        ("match x:\n    case [a, *b]:\n        a, b\n    case {'k': v, **rest} as whole:\n        v, rest, whole\n", {"x"}),
        ("print([i for i in range(3)], (y := 1), y, __file__)\n", set()),
        ("from math import *\npi\n", set()),
        ("async def f(): pass\nclass G: pass\nf, G\n", set()),
    ],
)  # fmt: skip
def test_names_that_are_defined_nowhere(text: str, names: set[str]) -> None:
    assert undefined(text) == names


pieces = st.sampled_from(
    ["import json", "import math", "X = 1", "X, Y = 1, 2", "Y = 3", "def f():\n    return X", "def g(a):\n    return a",
     "class K:\n    z = 1", "print(f())", "# a comment", "if X:\n    W = 1", "if __name__ == '__main__':\n    f()", "@g\ndef h():\n    pass"]
)  # fmt: skip
programs = st.lists(pieces, max_size=8).map("\n".join)


@given(program=programs, part=programs)
def test_a_merged_program_can_be_read_and_has_all_names_of_both(program: str, part: str) -> None:
    found = merge(program, part)
    if isinstance(found, Merged):
        ast.parse(found.text)
        assert names_of(found.text) == names_of(program) | names_of(part)
        again = merge(found.text, part)
        assert isinstance(again, Merged)
        assert names_of(again.text) == names_of(found.text)

"""Nothing a model or a program wrote can steer the terminal or break out of an exported file."""

from __future__ import annotations

import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from view.synthetic import HOSTILE

from evolve.graph import Cost, Node
from evolve.view import export, text

ANY_TEXT = st.text(st.characters(codec=None), max_size=80)
STEERING = {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(ANY_TEXT, st.integers(1, 40))
def test_one_line_is_printable_and_short(written: str, width: int) -> None:
    line = text.one_line(written, width)
    assert len(line) <= width
    assert not any(unicodedata.category(char) in STEERING for char in line)


@given(ANY_TEXT)
def test_a_block_keeps_lines_and_tabs_and_nothing_else_that_steers(written: str) -> None:
    block = text.block(written)
    assert block.count("\n") == written.replace("\r\n", "\n").count("\n")
    assert not any(unicodedata.category(char) in STEERING for char in block if char not in "\n\t")


@given(ANY_TEXT)
def test_a_dot_label_ends_where_it_should(written: str) -> None:
    assert re.fullmatch(r'"(?:[^"\\]|\\["\\])*"', f'"{export._dot_text(written)}"')


@given(ANY_TEXT)
def test_a_mermaid_label_holds_no_markup(written: str) -> None:
    assert not set(export._mermaid_text(written)) & set('"<>[]{}()|`\\')


@given(st.lists(st.floats(-1e9, 1e9), max_size=90), st.integers(1, 40))
def test_a_sparkline_is_short_and_shows_both_ends(values: list[float], width: int) -> None:
    line = text.sparkline(values, width)
    assert len(line) == min(width, len(values))
    if len(values) <= width and max(values, default=0) - min(values, default=0) > 1:
        assert line[values.index(min(values))] == "▁"
        assert line[values.index(max(values))] == "█"


def test_a_score_tells_its_error_where_it_was_measured() -> None:
    assert text.measured(1.25, None, 1) == "1.25"
    assert text.measured(1.25, 0.0123, 3) == "1.25 ± 0.012 (n=3)"
    assert text.measured(None, None, 1) == "-"


def test_plain_words_stay_as_they_are() -> None:
    assert text.one_line("größer  als\t0.5") == "größer als 0.5"
    assert text.one_line(HOSTILE).startswith('a"];')


def test_numbers_in_words() -> None:
    assert text.score(None) == "-"
    assert text.score(0.1 + 0.2) == "0.3"
    assert text.duration(7.9) == "0:07"
    assert text.duration(11105) == "3:05:05"
    assert text.money(Cost(3, 1000, 234, 0.5)) == "3 calls, 1,234 tokens, $0.5000"


def judged(score: float | None) -> Node:
    return Node("n1", 1, "n1", "initial", "n0", 1, "crashed" if score is None else "scored", score, "t")


def test_gain_over_the_initial_program_follows_the_direction() -> None:
    assert text.against_initial(judged(0.5), judged(0.75), "minimize") == "0.5 (initial program 0.75, better by 0.25)"
    assert text.against_initial(judged(0.5), judged(0.75), "maximize") == "0.5 (initial program 0.75, no better yet)"
    assert text.against_initial(judged(0.5), None, "maximize") == "0.5 (the initial program has no score)"
    assert text.against_initial(None, judged(0.5), "maximize") == "no valid program yet"


def test_table_columns_line_up() -> None:
    assert list(text.table(("a", "bb"), [("xxx", "y")])) == ["a    bb", "xxx  y"]

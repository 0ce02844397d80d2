"""What each policy recalls."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from evolve.events import Experience
from evolve.graph import Status
from evolve.memory.base import MemoryPolicy, Query
from evolve.plugins import BuildContext, config_class


def policy(kind: str, **settings: object) -> MemoryPolicy:
    built: MemoryPolicy = config_class("memory", kind)(kind=kind, **settings).build(BuildContext(Path()))
    return built


def lived(node_id: str, parent_id: str, status: Status = "scored", signature: str | None = None) -> Experience:
    return Experience(node_id, parent_id, "debug", status, f"idea of {node_id}", None, signature, "")


def asked(signature: str | None) -> Query:
    return Query("debug", "n9", signature)


def test_a_fix_of_the_same_error_is_recalled_before_repairs_that_failed() -> None:
    memory = policy("fixes")
    for experience in (
        lived("n1", "n0", "crashed", "E1"),
        lived("n2", "n1", "scored"),
        lived("n3", "n0", "crashed", "E1"),
        lived("n4", "n3", "crashed", "E2"),
        lived("n5", "n4", "scored"),
    ):
        memory.observe(experience)
    assert memory.recall(asked("E1")) == ("n2", "n4")
    assert memory.recall(asked("E2")) == ("n5",)
    assert memory.recall(asked("E3")) == ()
    assert memory.recall(asked(None)) == ()
    assert memory.experience("n2").title == "idea of n2"


def test_newer_fixes_first_and_no_more_than_asked() -> None:
    memory = policy("fixes", most=2)
    for number in range(1, 9, 2):
        memory.observe(lived(f"n{number}", "n0", "crashed", "E"))
        memory.observe(lived(f"n{number + 1}", f"n{number}"))
    assert memory.recall(asked("E")) == ("n8", "n6")


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["scored", "crashed"]), st.sampled_from(["E", "F"]))))
def test_observing_twice_changes_nothing(drawn: list[tuple[int, Status, str]]) -> None:
    experiences = [
        lived(f"n{number}", f"n{max(0, number - 1 - back)}", status, None if status == "scored" else signature)
        for number, (back, status, signature) in enumerate(drawn, start=1)
    ]
    once, twice = policy("fixes"), policy("fixes")
    for experience in experiences:
        once.observe(experience)
        twice.observe(experience)
        twice.observe(experience)
    for signature in ("E", "F"):
        assert once.recall(asked(signature)) == twice.recall(asked(signature))


def test_none_recalls_nothing() -> None:
    memory = policy("none")
    memory.observe(lived("n1", "n0", "crashed", "E1"))
    memory.observe(lived("n2", "n1"))
    assert memory.recall(asked("E1")) == ()

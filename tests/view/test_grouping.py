from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from evolve.view.grouping import differing, flatten, labels

LEAF = st.integers(0, 1) | st.sampled_from(["x", "y"]) | st.none()
CONFIG = st.dictionaries(
    st.sampled_from("abc"), LEAF | st.dictionaries(st.sampled_from(["kind", "l"]), LEAF, min_size=1)
)


def said(*configs: dict[str, Any]) -> list[str]:
    return labels([flatten(config) for config in configs])


@given(st.lists(CONFIG, min_size=1, max_size=5))
def test_labels_are_equal_exactly_where_the_settings_are(configs: list[dict[str, Any]]) -> None:
    flat = [flatten(config) for config in configs]
    told = labels(flat)
    keys = {key for one in flat for key in one}
    for one, label in zip(flat, told, strict=True):
        for other, another in zip(flat, told, strict=True):
            assert (label == another) == all(one.get(key) == other.get(key) for key in keys)


def test_seed_and_name_make_no_group() -> None:
    assert said({"seed": 1, "name": "a", "x": 2}, {"seed": 2, "name": "b", "x": 2}) == ["all", "all"]


def test_a_kind_stands_for_what_comes_with_it() -> None:
    tree = {"search": {"kind": "mcgs", "workers": 2, "patience": 6}, "budget": {"steps": 9}}
    greedy = {"search": {"kind": "greedy", "workers": 1, "drafts": 5}, "budget": {"steps": 9}}
    assert said(tree, greedy) == ["search.kind=mcgs", "search.kind=greedy"]
    eager = {**tree, "search": {**tree["search"], "patience": 3}}
    assert said(tree, greedy, eager) == [
        "search.kind=mcgs, search.patience=6",
        "search.kind=greedy, search.patience=null",
        "search.kind=mcgs, search.patience=3",
    ]


def test_what_a_kind_does_not_explain_is_told() -> None:
    found = said(
        {"search": {"kind": "mcgs"}, "budget": {"steps": 9}}, {"search": {"kind": "mcts"}, "budget": {"steps": 5}}
    )
    assert found == ["search.kind=mcgs, budget.steps=9", "search.kind=mcts, budget.steps=5"]


def test_a_list_of_one_is_that_one_and_a_longer_one_is_named_by_its_kinds() -> None:
    assert said({"coder": [{"kind": "openai", "model": "a"}]}, {"coder": [{"kind": "openai", "model": "b"}]}) == [
        "coder.model=a",
        "coder.model=b",
    ]
    three = [{"kind": "draft"}, {"kind": "improve"}, {"kind": "fuse", "sources": 1}]
    assert said({"ways": three}, {"ways": three[:2]}) == ["ways=[draft, improve, fuse]", "ways=[draft, improve]"]


def test_short_names_that_would_hide_the_difference_are_not_used() -> None:
    found = said({"ways": [{"kind": "a"}, {"kind": "b", "n": 1}]}, {"ways": [{"kind": "a"}, {"kind": "b", "n": 2}]})
    assert found == ['ways=[{"kind": "a"}, {"kind": "b", "n": 1}]', 'ways=[{"kind": "a"}, {"kind": "b", "n": 2}]']


def test_keys_that_differ_come_in_their_order() -> None:
    assert differing([flatten({"z": 1, "a": {"b": 1}}), flatten({"z": 2, "a": {"b": 2}})]) == ["z", "a.b"]

"""What differs between the settings of runs, and the groups that this makes of them. Knows nothing of results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

IGNORED = frozenset({"name", "seed"})
"""Keys in which runs of one group may differ."""
Settings = Mapping[str, Any]
"""Values by dotted key."""


def flatten(config: Mapping[str, Any]) -> dict[str, Any]:
    """Every value by its dotted key. A list of one thing is taken as that thing, a longer one is a value of its own."""
    return dict(_walk(config, ""))


def differing(settings: Sequence[Settings]) -> list[str]:
    """The keys that tell the settings apart, in the order they are written.

    What differs only because a plugin of another `kind` was chosen is left out: the kind says it.
    """
    keys = list(dict.fromkeys(key for one in settings for key in one))
    varied = [key for key in keys if key not in IGNORED and len({_key(one.get(key)) for one in settings}) > 1]
    kinds = [key for key in varied if key == "kind" or key.endswith(".kind")]
    return [key for key in varied if not any(_explains(kind, key, settings) for kind in kinds)]


def labels(settings: Sequence[Settings]) -> list[str]:
    """One for each, equal where nothing that matters differs, e.g. `search.kind=greedy`."""
    columns = [_column(key, [one.get(key) for one in settings]) for key in differing(settings)]
    return [", ".join(column[number] for column in columns) or "all" for number in range(len(settings))]


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _walk(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _explains(kind: str, key: str, settings: Sequence[Settings]) -> bool:
    """Whether a key of a plugin has one value for each kind of that plugin."""
    if key == kind or not key.startswith(kind.removesuffix("kind")):
        return False
    values: dict[str, set[str]] = {}
    for one in settings:
        values.setdefault(_key(one.get(kind)), set()).add(_key(one.get(key)))
    return all(len(found) == 1 for found in values.values())


def _column(key: str, values: Sequence[Any]) -> list[str]:
    """`key=value` of each; plugins in a list by their kind alone, unless that would hide the difference."""
    short = [_short(value) for value in values]
    whole = [_key(value) for value in values]
    return [f"{key}={text}" for text in (short if len(set(short)) == len(set(whole)) else whole)]


def _short(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_short(one) for one in value) + "]"
    if isinstance(value, Mapping):
        return str(value["kind"]) if "kind" in value else _key(value)
    return value if isinstance(value, str) else _key(value)


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True)

"""Read a job file and say everything that is wrong with it at once, each with its key path, line and a remedy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from evolve.config import JobConfig
from evolve.errors import ConfigError
from evolve.plugins import PluginProblem

Location = tuple[str | int, ...]
SET = 0
"""Stands for the line of a key that `--set` gave."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it will run."""

    config: JobConfig
    base_dir: Path
    """Absolute; relative paths in the configuration start here."""


def load_job(path: Path, overrides: Sequence[str] = (), base_dir: Path | None = None) -> Job:
    """Read a job file and apply `--set` overrides of the form `a.b=value`, the value in YAML.

    `base_dir` is where relative paths start; the file's own folder unless given.
    Raises ConfigError listing every problem found.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no such job file", hint="check the path, or write a new one with `evolve init DIR`"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}", hint="a job file is YAML in UTF-8"
        ) from None
    raw, lines = _parse(path, text)
    for override in overrides:
        _apply(raw, override, lines)
    try:
        config = JobConfig.model_validate(raw)
    except ValidationError as error:
        problems = [_describe(path, lines, details, owner) for details, owner in _flatten(error, JobConfig)]
        plural = "this" if len(problems) == 1 else f"these {len(problems)}"
        raise ConfigError(
            "\n".join(problems), hint=f"correct {plural}; `evolve config schema` prints every key and its type"
        ) from None
    return Job(config, (base_dir or path.parent).resolve())


def dump_job(config: JobConfig) -> str:
    """The resolved configuration as YAML, every default written out."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _parse(path: Path, text: str) -> tuple[dict[str, Any], dict[Location, int]]:
    """The plain data and the line of every key."""
    lines: dict[Location, int] = {}
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None:
            _note_lines(path, root, (), lines)
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(
            f"{where}: not valid YAML: {problem}", hint="check indentation, quotes and colons there"
        ) from None
    if not isinstance(raw, dict):
        found = "nothing" if raw is None else type(raw).__name__
        raise ConfigError(
            f"{path}: a job file is a mapping of keys, found {found}", hint="start from `evolve init DIR`"
        )
    return raw, lines


def _note_lines(path: Path, node: yaml.Node, at: Location, lines: dict[Location, int]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*at, key.value)
            line = key.start_mark.line + 1
            if here in lines:
                raise ConfigError(
                    f"{path}:{line}: {_dotted(here)} is given twice (first on line {lines[here]})",
                    hint="keep one of them",
                )
            lines[here] = line
            _note_lines(path, value, here, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*at, index)] = value.start_mark.line + 1
            _note_lines(path, value, (*at, index), lines)


def _apply(raw: dict[str, Any], override: str, lines: dict[Location, int]) -> None:
    """Set one value in place. A plugin given by name alone becomes a mapping, so that its settings can be set."""
    key, equals, value = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {override}: not of the form KEY=VALUE", hint="for example --set budget.steps=200")
    parts: Location = tuple(int(part) if part.isdigit() else part for part in key.strip().split("."))
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(
            f"--set {override}: the value is not valid YAML", hint="quote it, for example 'a.b=\"text\"'"
        ) from None
    holder: Any = raw
    for depth, part in enumerate(parts[:-1], start=1):
        _refuse_number(key, holder, parts[:depth])
        try:
            if isinstance(holder, dict) and isinstance(holder.get(part), str | None):
                holder[part] = {"kind": holder[part]} if holder.get(part) else {}
                lines[parts[:depth]] = SET
            holder = holder[part]
        except (KeyError, IndexError, TypeError):
            raise ConfigError(
                f"--set {key}: there is no {part!r} to set something in", hint="see `evolve config show`"
            ) from None
    _refuse_number(key, holder, parts)
    try:
        holder[parts[-1]] = parsed
    except (IndexError, TypeError):
        raise ConfigError(f"--set {key}: there is no such place", hint="see `evolve config show`") from None
    lines[parts] = SET


def _refuse_number(key: str, holder: object, path: Location) -> None:
    """A mapping has no numbers. What is a list to the program, a single provider say, may be a mapping in the file."""
    *above, number = path
    if isinstance(number, int) and isinstance(holder, dict):
        where = _dotted(tuple(above))
        raise ConfigError(
            f"--set {key}: {where or 'a job file'} is not a list in this file: it has no number {number}",
            hint=f"leave the number out, or give the whole list: --set '{where}=[{{...}}, {{...}}]'",
        )


def _flatten(
    error: ValidationError, model: type[BaseModel], at: Location = ()
) -> Iterator[tuple[ErrorDetails, type[BaseModel]]]:
    """Every single problem with its full location, those inside plugins included, and the settings type it is in."""
    for details in error.errors():
        location = (*at, *details["loc"])
        nested = details.get("ctx", {}).get("error")
        if isinstance(nested, PluginProblem):
            yield from _flatten(nested.error, nested.model, location)
        else:
            details["loc"] = location
            yield details, _section(model, location[len(at) : -1])


def _section(model: type[BaseModel], path: Location) -> type[BaseModel]:
    """The settings type at a path, also where it is that of a list's or mapping's entries."""
    for part in path:
        field = model.model_fields.get(str(part))
        held = (field.annotation, *get_args(field.annotation)) if field is not None else ()
        model = next((one for one in held if isinstance(one, type) and issubclass(one, BaseModel)), model)
    return model


def _describe(path: Path, lines: Mapping[Location, int], details: ErrorDetails, section: type[BaseModel]) -> str:
    location = details["loc"]
    written: Location = ()
    for part in location:  # keys that a shorthand left out are passed over
        if (*written, part) in lines:
            written = (*written, part)
    shown = written if written and written[-1:] == location[-1:] else (*written, *location[-1:])
    line = lines.get(written)
    where = "--set" if line == SET else str(path) if line is None else f"{path}:{line}:"
    left_over = details["type"] == "extra_forbidden" and lines.get((*shown[:-1], "kind")) == SET
    plugin = ".".join(map(str, shown[:-1]))
    remark = f"; --set {plugin}=KIND replaces all of `{plugin}`, its other keys included" if left_over else ""
    return f"{where} {'.'.join(map(str, shown))}: {_problem(details, section)}{remark}"


def _problem(details: ErrorDetails, section: type[BaseModel]) -> str:
    found = f", found {_short(details['input'])}"
    match details["type"]:
        case "extra_forbidden":
            known = list(section.model_fields)
            close = difflib.get_close_matches(str(details["loc"][-1]), known, n=1)
            meant = f"; did you mean {close[0]!r}?" if close else ""
            return f"unknown key{meant} (known: {', '.join(known)})"
        case "missing":
            return "this key is required"
        case "value_error":
            return details["msg"].removeprefix("Value error, ")
        case "string_pattern_mismatch":
            return f"letters, digits, '.', '_' and '-' only, at most 64{found}"
        case _:
            message = details["msg"].removeprefix("Input ")
            return f"{message[0].lower()}{message[1:]}{found}"


def _dotted(location: Location) -> str:
    return ".".join(str(part) for part in location)


def _short(value: Any) -> str:
    text = re.sub(r"\s+", " ", repr(value))
    return text if len(text) <= 60 else f"{text[:57]}..."

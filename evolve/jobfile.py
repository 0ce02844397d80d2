"""Read a job file and say everything that is wrong with it at once, each with its key path, line and a remedy."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from evolve.config import JobConfig
from evolve.errors import ConfigError
from evolve.plugins import PluginProblem

Location = tuple[str | int, ...]


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
        raise ConfigError(f"{path}: cannot be read: {error}", hint="a job file is YAML in UTF-8") from None
    raw, lines = _parse(path, text)
    overridden = [_apply(raw, override) for override in overrides]
    try:
        config = JobConfig.model_validate(raw)
    except ValidationError as error:
        problems = [_describe(path, lines, overridden, details, owner) for details, owner in _flatten(error, JobConfig)]
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


def _apply(raw: dict[str, Any], override: str) -> Location:
    """Set one value in place; the key path that was set."""
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
    for part, following in itertools.pairwise(parts):
        try:
            if isinstance(holder, dict) and (part not in holder or isinstance(holder[part], str | None)):
                kind = holder.get(part)
                holder[part] = [] if isinstance(following, int) else {"kind": kind} if kind else {}
            holder = holder[part]
        except (KeyError, IndexError, TypeError):
            raise ConfigError(
                f"--set {key}: there is no {part!r} to set something in", hint="see `evolve config show`"
            ) from None
    try:
        holder[parts[-1]] = parsed
    except (IndexError, TypeError):
        raise ConfigError(f"--set {key}: there is no such place", hint="see `evolve config show`") from None
    return parts


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
    for part in path:
        field = model.model_fields.get(str(part))
        if field is not None and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            model = field.annotation
    return model


def _describe(
    path: Path,
    lines: Mapping[Location, int],
    overridden: Sequence[Location],
    details: ErrorDetails,
    section: type[BaseModel],
) -> str:
    location = details["loc"]
    written = _as_written(location, lines)
    if any(parts == location[: len(parts)] for parts in overridden):
        where = f"--set {_dotted(location)}"
    elif written:
        where = f"{path}:{lines[written]}: {_dotted(_merge(written, location))}"
    else:
        where = f"{path}: {_dotted(location)}" if location else str(path)
    return f"{where}: {_problem(details, section)}"


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


def _as_written(location: Location, lines: Mapping[Location, int]) -> Location:
    """The deepest part of a location that the file holds; keys that a shorthand left out are passed over."""
    written: Location = ()
    for part in location:
        if (*written, part) in lines:
            written = (*written, part)
    return written


def _merge(written: Location, location: Location) -> Location:
    return (
        location
        if location[: len(written)] == written
        else (*written, *(() if written[-1] == location[-1] else location[-1:]))
    )


def _dotted(location: Location) -> str:
    return ".".join(str(part) for part in location)


def _short(value: Any) -> str:
    text = re.sub(r"\s+", " ", repr(value))
    return text if len(text) <= 60 else f"{text[:57]}..."

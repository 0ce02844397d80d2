"""Find a plugin by its `kind`.

A plugin is one module with a `Config(PluginConfig)` that can `build()`. `kind: fuse` under `operators` names the module
`evolve.operators.fuse`; a dotted kind names any importable module. There is no registry to edit.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import core_schema

FAMILIES = {
    "task": "evolve.tasks",
    "search": "evolve.search.policies",
    "operator": "evolve.operators",
    "memory": "evolve.memory.policies",
    "llm": "evolve.llm",
    "sandbox": "evolve.sandbox",
}
"""Each family of plugins and the package its built-in ones live in."""


class PluginConfig(BaseModel):
    """Settings of one plugin. Unknown keys are refused; the docstring under a field is its documentation."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)

    kind: str

    def build(self, context: BuildContext) -> Any:  # noqa: ARG002
        """Make the component these settings describe."""
        raise TypeError(f"{type(self).__module__}.Config has no build()")


class PluginProblem(ValueError):
    """The settings of one plugin are wrong; keeps their type, so that each problem can be told with its key path."""

    def __init__(self, model: type[PluginConfig], error: ValidationError) -> None:
        super().__init__(str(error))
        self.model = model
        self.error = error


@dataclass(frozen=True, slots=True)
class BuildContext:
    """What a plugin may need of its surroundings when it is built."""

    base_dir: Path
    """Folder of the job file; relative paths in the settings start here."""
    seed: int = 0
    run_dir: Path | None = None
    """None outside a run, e.g. in `evolve doctor`."""


def kinds(family: str) -> list[str]:
    """Names of the built-in plugins of a family, sorted."""
    package = importlib.import_module(FAMILIES[family])
    modules = (info.name for info in pkgutil.iter_modules(package.__path__) if not info.ispkg)
    return sorted(name for name in modules if hasattr(importlib.import_module(f"{FAMILIES[family]}.{name}"), "Config"))


def config_class(family: str, kind: str) -> type[PluginConfig]:
    """The settings type of a plugin.

    Raises ValueError (which pydantic turns into a problem with a key path) when there is none.
    """
    module_name = kind if "." in kind else f"{FAMILIES[family]}.{kind}"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise ValueError(_unknown(family, kind)) from None
    found = getattr(module, "Config", None)
    if not (isinstance(found, type) and issubclass(found, PluginConfig)):
        raise ValueError(_unknown(family, kind))
    return found


def _unknown(family: str, kind: str) -> str:
    known = kinds(family)
    close = difflib.get_close_matches(kind, known, n=1)
    meant = f"; did you mean {close[0]!r}?" if close else ""
    return f"unknown {family} kind {kind!r}{meant} (known: {', '.join(known)}, or a dotted module name)"


def _resolve(family: str, raw: Any, default: str | None) -> PluginConfig:
    if isinstance(raw, PluginConfig):
        return raw
    if isinstance(raw, str):
        raw = {"kind": raw}
    if not isinstance(raw, Mapping):
        raise ValueError(f"expected a {family} kind or a mapping with `kind`, found {raw!r}")
    kind = raw.get("kind", default)
    if not isinstance(kind, str):
        raise ValueError(f"`kind` is missing (known: {', '.join(kinds(family))})")
    model = config_class(family, kind)
    try:
        return model.model_validate({**raw, "kind": kind})
    except ValidationError as error:
        raise PluginProblem(model, error) from None


def family_schema(family: str) -> dict[str, Any]:
    """JSON schema of any built-in plugin of a family, by name or in full."""
    names = kinds(family)
    return {"anyOf": [{"enum": names}, *(_self_contained(config_class(family, name)) for name in names)]}


def _self_contained(model: type[PluginConfig]) -> dict[str, Any]:
    """The schema of a plugin's settings with every definition put where it is used, as it becomes part of another one."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def put_in(part: Any) -> Any:
        if isinstance(part, list):
            return [put_in(one) for one in part]
        if not isinstance(part, dict):
            return part
        named = part.get("$ref", "").removeprefix("#/$defs/")
        return put_in(definitions[named]) if named else {key: put_in(value) for key, value in part.items()}

    whole: dict[str, Any] = put_in(schema)
    return whole


@dataclass(frozen=True, slots=True)
class PluginOf:
    """Annotates a configuration field that holds one plugin of a family, written as a name or a mapping."""

    family: str
    default: str | None = None
    """The kind meant by a mapping without `kind`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda raw: _resolve(self.family, raw, self.default),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda plugin: plugin.model_dump(mode="json")
            ),
        )

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: Any) -> dict[str, Any]:
        return family_schema(self.family)

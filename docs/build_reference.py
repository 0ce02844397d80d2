"""Write docs/configuration.md from the configuration types: `python docs/build_reference.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from evolve.config import AgentConfig, BudgetConfig, JobConfig, LLMConfig, Price, RetryConfig, Sampling
from evolve.plugins import FAMILIES, config_class, kinds

SECTIONS: dict[str, type[BaseModel]] = {
    "agent": AgentConfig,
    "agent.sampling.OPERATOR": Sampling,
    "llm": LLMConfig,
    "llm.prices.MODEL": Price,
    "llm.retry": RetryConfig,
    "budget": BudgetConfig,
}
HOLDS = {
    "task": "`task`",
    "search": "`search`, where a mapping without `kind` means `mcgs`",
    "operator": "an entry of `search.operators`",
    "memory": "`memory`",
    "llm": "`llm`, or `llm.strategist`, `llm.coder`, `llm.reviewer`",
    "sandbox": "`sandbox`",
}
"""Where in the job file a family's plugins go."""
OPENING = """\
# Configuration reference

Written by `docs/build_reference.py` from the types; a test compares the two. One YAML file describes one job. Defaults
< file < `--set KEY=VALUE`. Unknown keys are refused, with the nearest known one named. Paths start at the file's folder.
`evolve config check JOB` checks a file, `evolve config show JOB` writes every default out, `evolve config schema` prints
the JSON schema for editors.
"""


def reference() -> str:
    parts = [OPENING, "## Top level\n", *table(JobConfig)]
    for path, model in SECTIONS.items():
        parts += [f"\n## `{path}`\n", f"{first_line(model)}\n", *table(model)]
    for family in FAMILIES:
        parts += [
            f"\n## Kinds of {family}\n",
            f"Go into {HOLDS[family]}: a name, or a mapping with `kind` and these keys.\n",
        ]
        for kind in kinds(family):
            model = config_class(family, kind)
            parts += [f"\n### `{kind}`\n", f"{first_line(model)}\n", *table(model)]
    return "\n".join(parts) + "\n"


def table(model: type[BaseModel]) -> Iterator[str]:
    rows = [(name, field) for name, field in model.model_fields.items() if name != "kind"]
    if rows:
        yield "| key | type | default | meaning |"
        yield "|---|---|---|---|"
    for name, field in rows:
        inner = field.annotation if isinstance(field.annotation, type) else None
        meaning = field.description or first_line(inner)
        yield f"| `{name}` | {cell(type_of(field))} | {cell(default_of(field))} | {cell(meaning)} |"


def first_line(model: type[Any] | None) -> str:
    doc = (model.__doc__ or "") if model else ""
    return " ".join(doc.split("\n\n")[0].split())


def type_of(field: FieldInfo) -> str:
    annotation = field.annotation
    text = (
        annotation.__name__ if isinstance(annotation, type) and not hasattr(annotation, "__args__") else str(annotation)
    )
    for prefix in ("typing.", "pathlib.", "evolve.config.", "evolve.plugins.", "evolve.tasks.program."):
        text = text.replace(prefix, "")
    text = (
        text.replace("Annotated[PluginConfig, ", "")
        .replace("PluginOf(family='", "")
        .replace("', default=None)]", " plugin")
    )
    bounds = [
        f"{sign} {getattr(item, name)}"
        for item in field.metadata
        for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
        if hasattr(item, name)
    ]
    return ", ".join([text, *bounds])


def default_of(field: FieldInfo) -> str:
    if field.default is not PydanticUndefined:
        return "" if field.default is None else f"`{field.default}`"
    if field.default_factory is None:
        return "required"
    made = field.default_factory()  # type: ignore[call-arg]
    return "see below" if isinstance(made, BaseModel) else f"`{made}`"


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    Path(__file__).with_name("configuration.md").write_text(reference(), encoding="utf-8")

"""Render prompts from strict templates: a fact that is missing is an error, never a blank.

Templates of the user's folder replace built-in ones of the same name. Knows nothing of agents or tasks.
"""

from __future__ import annotations

import hashlib
import re
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from evolve.errors import PromptError
from evolve.resources import data_dir

if TYPE_CHECKING:
    import jinja2


class Prompts:
    """Templates by name, e.g. `strategist/draft.j2`. Safe to use from several threads."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder`: the user's own templates. Raises PromptError if it is not there."""
        if folder is not None and not folder.is_dir():
            raise PromptError(f"{folder}: no such folder of prompts", hint="correct agent.prompts")
        self._folders = [folder] if folder is not None else []
        self._folders.append(data_dir("prompts"))
        self._environment: jinja2.Environment | None = None

    def render(self, name: str, /, **facts: object) -> str:
        """The words of a template. Raises PromptError naming the template and what is wrong with it."""
        import jinja2

        try:
            return self.environment.get_template(name).render(**facts).strip()
        except jinja2.TemplateNotFound as error:
            raise PromptError(f"{name}: there is no template {error.name}", hint=self._hint()) from error
        except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError) as error:
            raise PromptError(f"{_place(name, error)}: {error}", hint=self._hint()) from error

    def has(self, name: str) -> bool:
        return any((folder / name).is_file() for folder in self._folders)

    def digests(self) -> dict[str, str]:
        """SHA-256 of every template in use, by name."""
        return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sorted(self._files().items())}

    @property
    def environment(self) -> jinja2.Environment:
        """Jinja's own view of the templates, made when first needed."""
        if self._environment is None:
            import jinja2

            environment = jinja2.Environment(
                loader=jinja2.FileSystemLoader([str(folder) for folder in self._folders]),
                undefined=jinja2.StrictUndefined,
                autoescape=False,
                trim_blocks=True,
                lstrip_blocks=True,
                auto_reload=False,  # a run keeps the words it began with, those its manifest names
            )
            environment.filters["fenced"] = fenced
            environment.filters["number"] = number
            self._environment = environment
        return self._environment

    def _files(self) -> dict[str, Path]:
        """Templates by name; the user's come last and win."""
        return {
            path.relative_to(folder).as_posix(): path
            for folder in reversed(self._folders)
            for path in folder.rglob("*.j2")
        }

    def _hint(self) -> str:
        return f"templates are looked for in {', then '.join(map(str, self._folders))}"


def fenced(text: str, info: str = "") -> str:
    """The text in a code fence longer than any in it, so that it cannot end the fence itself."""
    longest = max(map(len, re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{info}\n{text.strip(chr(10))}\n{fence}"


def number(value: float) -> str:
    """A score with as many digits as matter."""
    return f"{value:.10g}"


def _place(name: str, error: Exception) -> str:
    """Template and line where the error arose, as far as Jinja tells."""
    import jinja2

    if isinstance(error, jinja2.TemplateSyntaxError):
        return f"{error.name or name}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".j2")]
    return f"{name} (line {frames[-1].lineno} of {Path(frames[-1].filename).name})" if frames else name

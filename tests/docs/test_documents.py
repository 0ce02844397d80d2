"""Commands, settings and links that the documents name exist."""

from __future__ import annotations

import itertools
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest
import yaml

from evolve.cli.main import main
from evolve.cli.tools import SKELETON
from evolve.config import JobConfig
from evolve.jobfile import load_job

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(ROOT.glob("examples/*/README.md")),
    *(ROOT / folder / "README.md" for folder in ("prompts", "knowledge_base", "runs")),
]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")


class Found(NamedTuple):
    """A command line, and the page it is on."""

    page: str
    words: list[str]

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def code(text: str) -> Iterator[str]:
    """Everything a reader may type: fenced and indented lines, and spans within a line."""
    for _, block in FENCE.findall(text):
        yield from block.splitlines()
    prose = FENCE.sub("", text)
    for line in prose.splitlines():
        if line.startswith("    "):
            yield line.strip()
        else:
            yield from SPAN.findall(line)


def commands(program: str) -> list[Found]:
    """Command lines without the words beside them, which follow a # or several blanks."""
    found = []
    for page in PAGES:
        for line in code(page.read_text(encoding="utf-8")):
            command = re.split(r"\s#|\s{2,}|; ", line.strip())[0]
            if command.startswith(f"{program} "):
                found.append(Found(str(page.relative_to(ROOT)), shlex.split(command)[program.count(" ") + 1 :]))
    return found


EVOLVE = commands("evolve")


def problem(words: list[str]) -> str | None:
    """What `evolve` would say against these arguments, placeholders for values allowed."""
    command: click.Command = main
    context = click.Context(main, info_name="evolve")
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        if name not in command.list_commands(context):
            return f"there is no command {name!r} of {command.name}"
        known = command.get_command(context, name)
        assert known is not None
        command = known
    options = {flag: one for one in command.get_params(context) for flag in one.opts if isinstance(one, click.Option)}
    places = sum(isinstance(one, click.Argument) for one in command.params)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            places -= 1
        elif word not in options:
            return f"there is no option {word} of {command.name}"
        elif not options[word].is_flag and word != "--help":
            if not rest:
                return f"{word} wants a value"
            rest.pop(0)
    return "too many arguments" if places < 0 else None


@pytest.mark.parametrize("found", EVOLVE, ids=str)
def test_a_command_exists_with_its_options(found: Found) -> None:
    assert problem(found.words) is None


@pytest.mark.parametrize(
    "words",
    [["rnu", "JOB"], ["config", "chek"], ["run", "JOB", "--dryrun"], ["ls", "RUN"], ["run", "JOB", "--set"]],
    ids=" ".join,
)
def test_a_command_that_does_not_exist_is_noticed(words: list[str]) -> None:
    assert problem(words)


def test_the_readme_shows_every_command_a_reader_needs() -> None:
    shown = {found.words[0] for found in EVOLVE if found.page == "README.md"}
    assert shown >= set(main.list_commands(click.Context(main))) - {"config", "plugins"}


def settings() -> list[str]:
    """Every `--set KEY=VALUE` whose value is written out."""
    lines = (found.words for found in EVOLVE)
    given = (value for words in lines for word, value in itertools.pairwise(words) if word == "--set")
    return sorted({value for value in given if "=" in value and not value.isupper() and "..." not in value})


@pytest.mark.parametrize("setting", settings())
def test_a_setting_exists(setting: str) -> None:
    load_job(SKELETON / "job.yaml", [setting])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_yaml_is_a_part_of_a_job(page: Path) -> None:
    for language, block in FENCE.findall(page.read_text(encoding="utf-8")):
        if language == "yaml":
            given = yaml.safe_load(block)
            JobConfig.model_validate(
                {"name": "x", "task": {"kind": "program", "path": "."}, "llm": {"kind": "mutation"}} | given
            )


def test_other_programs_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for found in commands("make"):
        assert re.search(rf"^{found.words[0]}:", makefile, re.MULTILINE), str(found)
    images = commands("python -m evolve.sandbox.image")
    assert images
    usage = subprocess.run(
        [sys.executable, "-m", "evolve.sandbox.image", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for found in images:
        assert all(word in usage for word in found.words if word.startswith("--")), str(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page}: {link}"


def anchors(page: Path) -> set[str]:
    """Names that a page's headings can be linked by."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}

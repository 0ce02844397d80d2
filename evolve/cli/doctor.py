"""The doctor command: what works on this machine, what does not, and what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import click

from evolve.cli.common import emit, json_option, runs_option, set_option, show
from evolve.errors import EvolveError, SandboxError
from evolve.plugins import BuildContext, PluginConfig, config_class, kinds
from evolve.sandbox.base import LEVELS

FREE_GB = 1.0
"""Less than this free, and a long run may end early."""
ENDPOINT_TIMEOUT_S = 10.0

Verdict = Literal["ok", "warning", "missing", "failed"]
"""`missing`: a run can do without it; `failed`: it cannot."""


@dataclass(frozen=True, slots=True)
class Finding:
    what: str
    verdict: Verdict
    said: str
    remedy: str = ""


@click.command()
@click.argument("job", required=False, type=click.Path(path_type=Path))
@runs_option
@set_option
@json_option
def doctor(job: Path | None, runs: Path, overrides: tuple[str, ...], as_json: bool) -> int:
    """Say what works on this machine, or for JOB, and what to do about the rest. Exits with 0 when a run can start."""
    findings = [*machine(runs), *sandboxes(), *(job_findings(job, overrides) if job else ())]
    able = can_start(findings, with_job=job is not None)
    if as_json:
        emit({"can_start": able, "findings": [asdict(one) for one in findings]})
    else:
        show(finding_lines(findings))
        print("a run can start" if able else "a run cannot start yet")
    return 0 if able else 4


def can_start(findings: list[Finding], *, with_job: bool) -> bool:
    """Nothing failed and, unless a job says which one it wants, some sandbox works."""
    works = any(one.what.startswith("sandbox") and one.verdict == "ok" for one in findings)
    return (with_job or works) and all(one.verdict != "failed" for one in findings)


def finding_lines(findings: list[Finding]) -> Iterator[str]:
    from evolve.view.text import one_line

    for one in findings:
        yield f"{one.verdict:<8} {one.what}: {one_line(one.said)}"
        if one.remedy:
            yield f"         -> {one_line(one.remedy)}"


def machine(runs: Path) -> Iterator[Finding]:
    """Python, disk and the programs that sandboxes build on."""
    yield Finding("Python", "ok", f"{platform.python_version()} at {sys.executable}")
    folder = next(path for path in (runs.absolute(), *runs.absolute().parents) if path.is_dir())
    free_gb = shutil.disk_usage(folder).free / 1e9
    full = free_gb < FREE_GB
    yield Finding(
        "disk", "warning" if full else "ok", f"{free_gb:.1f} GB free in {folder}", "free some space" if full else ""
    )
    if not os.access(folder, os.W_OK):
        yield Finding("runs", "failed", f"{folder} is not writable", "choose another folder with --runs")
    for program, package in (("docker", "docker.io"), ("bwrap", "bubblewrap")):
        at = shutil.which(program)
        yield (
            Finding(program, "ok", at) if at else Finding(program, "missing", "not installed", f"on Debian: {package}")
        )


def sandboxes() -> Iterator[Finding]:
    """Every level, by its own probe."""
    known = kinds("sandbox")
    for level in LEVELS:
        if level in known:
            yield sandbox(config_class("sandbox", level)(kind=level), f"sandbox {level}", "missing")


def sandbox(config: PluginConfig, what: str, verdict: Verdict) -> Finding:
    """What a probe says; `verdict` is what a refusal means. Removes what dead runs have left there."""
    provider = config.build(BuildContext(Path.cwd()))
    try:
        provider.prepare()
        swept = provider.sweep()
        remark = f"; {swept} leftover{'s' if swept > 1 else ''} of dead runs removed" if swept else ""
        return Finding(what, "ok", provider.describe() + remark)
    except SandboxError as error:
        return Finding(what, verdict, error.message, error.hint)
    finally:
        provider.close()


def job_findings(path: Path, overrides: tuple[str, ...]) -> Iterator[Finding]:
    """Whether this job could start: its file, its task, its sandbox, its models."""
    from evolve.jobfile import load_job
    from evolve.run.session import build_parts

    try:
        job = load_job(path, overrides)
    except EvolveError as error:
        yield Finding("job", "failed", error.message, error.hint)
        return
    yield sandbox(job.config.sandbox, "the job's sandbox", "failed")
    for provider in {one.model_dump_json(): one for one in _models(job.config.llm)}.values():
        yield endpoint(provider)
    try:
        build_parts(job)
        yield Finding("job", "ok", f"{path}: in order")
    except EvolveError as error:
        yield Finding("job", "failed", error.message, error.hint)


def _models(llm: Any) -> list[PluginConfig]:
    return [one for one in (*llm.strategist, *llm.coder, *llm.reviewer) if one.kind == "openai"]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A key goes to the endpoint that was named, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


def endpoint(provider: Any) -> Finding:
    """Ask an OpenAI-compatible endpoint for its models: costs nothing, and needs the same key."""
    what = f"endpoint {provider.base_url}"
    key = os.environ.get(provider.api_key_env, "").strip()
    request = urllib.request.Request(f"{provider.base_url}/models")
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=ENDPOINT_TIMEOUT_S):
            return Finding(what, "ok", f"answers; {provider.model} by ${provider.api_key_env}")
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (401, 403):
            said = "refuses the key" if key else f"wants a key, and {provider.api_key_env} is not set"
            return Finding(what, "failed", f"{said} (HTTP {error.code})", f"export {provider.api_key_env}=...")
        return Finding(what, "ok", f"answers, but does not list its models (HTTP {error.code})")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return Finding(what, "failed", f"cannot be reached: {reason}", "start it, or correct base_url")

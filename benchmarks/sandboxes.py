"""What a sandbox costs at each level that works here, beside a bare subprocess: `python -m benchmarks.sandboxes [ROUNDS]`.

Rounds are interleaved, so that noise meets all alike; medians, and ratios to bare. `cold` opens a sandbox, runs one
Python and closes it; `warm` is the run alone, in a sandbox that is open.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from evolve.errors import SandboxError
from evolve.plugins import BuildContext, config_class
from evolve.sandbox.base import LEVELS, SandboxProvider

PROGRAMS = {"pass": "pass", "numpy": "import numpy"}


def timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def works(level: str) -> SandboxProvider | None:
    try:
        provider: SandboxProvider = config_class("sandbox", level)(kind=level).build(BuildContext(Path()))
        provider.prepare()
    except (SandboxError, ValueError) as error:
        print(f"{level}: not measured: {error}")
        return None
    return provider


def main(rounds: int) -> None:
    providers = {level: provider for level in LEVELS if (provider := works(level)) is not None}
    seconds: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for _ in range(rounds):
        for name, program in PROGRAMS.items():
            bare = [sys.executable, "-c", program]
            seconds["bare", "", name].append(timed(lambda bare=bare: subprocess.run(bare, check=True)))  # type: ignore[misc]
            for level, provider in providers.items():
                began = time.perf_counter()
                with provider.open() as sandbox:
                    argv = [*sandbox.python, "-c", program]
                    warm = timed(lambda box=sandbox, argv=argv: box.exec(argv, timeout_s=60))  # type: ignore[misc]
                seconds[level, "warm", name].append(warm)
                seconds[level, "cold", name].append(time.perf_counter() - began)
    for provider in providers.values():
        provider.close()
    for name in PROGRAMS:
        bare_s = statistics.median(seconds["bare", "", name])
        print(f"\n{name}: bare {bare_s * 1000:.0f} ms")
        for level in providers:
            for phase in ("warm", "cold"):
                median_s = statistics.median(seconds[level, phase, name])
                print(f"  {level:<10} {phase}  {median_s * 1000:>6.0f} ms  {median_s / bare_s:>5.1f}x")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 25)

"""What the framework itself costs: CPU per node, start, resume, memory and disk, with an instant model and task.

    python -m benchmarks.framework            100, 1,000 and 10,000 nodes
    python -m benchmarks.framework 100 1000   other sizes
    python -m benchmarks.framework --rate     16 workers, a model that takes 1 s a call, an evaluation that takes 1 s

Every size runs in a process of its own, so that its peak memory is its own. CPU is user plus system time of that
process over the last tenth of its nodes; nothing is started per node, and time asleep in fsync is not CPU.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

JOB = """\
name: instant
task: {kind: benchmarks.instant_task}
llm: {kind: benchmarks.instant_llm}
sandbox: process
search: {workers: 1}
"""


class Watch:
    """Notes the process's CPU seconds at every node."""

    def __init__(self) -> None:
        self.cpu_s: list[float] = [time.process_time()]

    def started(self, graph: object, expansion: object) -> None:
        pass

    def added(self, graph: object, node: object) -> None:
        self.cpu_s.append(time.process_time())

    def abandoned(self, graph: object, expansion: object, reason: str) -> None:
        raise SystemExit(reason)


def run(folder: Path, nodes: int, resume: bool) -> dict[str, float]:
    from evolve.jobfile import load_job
    from evolve.run import rundir, session

    watch = Watch()
    job_file = folder / "job.yaml"
    job_file.write_text(JOB)
    if resume:
        began = time.perf_counter()
        run = rundir.find(folder / "runs", "bench")
        job = run.load((f"budget.steps={nodes + 1}",))
        parts = session.build_parts(job)
    else:
        job = load_job(job_file, (f"budget.steps={nodes}",))
        parts = session.build_parts(job)
        run = rundir.create(folder / "runs", "bench", job, session.manifest_facts(parts))
    with session.open_engine(run, job, parts, watch, threading.Event()) as engine:
        if resume:
            return {"resume_s": time.perf_counter() - began}
        engine.run()
    last = max(10, nodes // 10)
    size = sum(path.stat().st_blocks * 512 for path in run.path.rglob("*") if path.is_file() and not path.is_symlink())
    return {
        "cpu_ms": (watch.cpu_s[-1] - watch.cpu_s[-1 - last]) / last * 1000,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "disk_mb": size / 1e6,
    }


def measure(nodes: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, float] = {"nodes": nodes}
        for phase in ("run", "resume"):
            command = [sys.executable, "-m", "benchmarks.framework", "--child", phase, folder, str(nodes)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr)
            found |= json.loads(done.stdout)
    return found


def start_cpu_s(*command: str) -> float:
    """CPU seconds of one command, the smallest of five runs."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], capture_output=True);"
        "r = resource.getrusage(resource.RUSAGE_CHILDREN); print(r.ru_utime + r.ru_stime)"
    )
    runs = [subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True) for _ in range(5)]
    return min(float(one.stdout) for one in runs)


def rate(workers: int = 16, nodes: int = 96) -> None:
    """Nodes per second beside the ideal: a node takes two calls and one evaluation, 3 s in all."""
    from evolve.jobfile import load_job
    from evolve.run import rundir, session

    with tempfile.TemporaryDirectory() as folder:
        job_file = Path(folder) / "job.yaml"
        job_file.write_text(JOB)
        settings = ("task.delay_s=1", "llm.delay_s=1", f"search.workers={workers}", f"budget.steps={nodes + 1}")
        job = load_job(job_file, settings)
        parts = session.build_parts(job)
        run = rundir.create(Path(folder) / "runs", "rate", job, session.manifest_facts(parts))
        began = time.perf_counter()
        with session.open_engine(run, job, parts, Watch(), threading.Event()) as engine:
            engine.run()
        took_s = time.perf_counter() - began
    ideal_s = nodes * 3 / workers
    print(
        f"{nodes} nodes, {workers} workers: {took_s:.1f} s, ideal {ideal_s:.1f} s: {ideal_s / took_s:.0%} of the ideal rate"
    )


def main(sizes: list[int]) -> None:
    rows = [measure(nodes) for nodes in sizes]
    print(f"{'nodes':>7} {'CPU ms/node':>12} {'x first':>8} {'resume s':>9} {'peak MB':>8} {'disk MB':>8}")
    for row in rows:
        ratio = row["cpu_ms"] / rows[0]["cpu_ms"]
        print(
            f"{row['nodes']:>7} {row['cpu_ms']:>12.2f} {ratio:>8.2f} {row['resume_s']:>9.2f}"
            f" {row['peak_mb']:>8.0f} {row['disk_mb']:>8.1f}"
        )
    evolve = [sys.executable, "-m", "evolve"]
    starts = {
        "python -c pass": (sys.executable, "-c", "pass"),
        "evolve --help": (*evolve, "--help"),
        "evolve ls": (*evolve, "ls"),
    }
    print("\nCPU s of a start:", ", ".join(f"{name} {start_cpu_s(*command):.3f}" for name, command in starts.items()))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(run(Path(sys.argv[3]), int(sys.argv[4]), resume=sys.argv[2] == "resume")))
    elif sys.argv[1:2] == ["--rate"]:
        rate()
    else:
        main([int(text) for text in sys.argv[1:]] or [100, 1000, 10000])

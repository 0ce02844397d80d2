"""How commands start: what they import, and what a stranger meets first."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.conftest import JOB, Place

from evolve.cli.doctor import Finding, can_start, endpoint
from evolve.llm.openai import Config

HEAVY = {"networkx", "pydantic", "rich", "openai", "docker", "numpy", "yaml", "jinja2", "tenacity"}


def imported(arguments: list[str], cwd: Path) -> set[str]:
    """The heavy packages that a command imports in a process of its own."""
    code = (
        "import sys\nfrom evolve.cli.main import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=cwd)
    return HEAVY & set(done.stderr.split())


def test_help_and_ls_import_nothing_heavy(finished: Place) -> None:
    assert imported(["--help"], finished.folder) == set()
    assert imported(["ls"], finished.folder) == set()


def test_status_needs_no_graph_library(finished: Place) -> None:
    assert imported(["status", "done"], finished.folder) == {"pydantic"}


def test_help_names_every_command(place: Place) -> None:
    bare, asked = place.evolve(), place.evolve("--help")
    assert bare.exit_code == asked.exit_code == 0
    assert bare.stdout == asked.stdout
    for command in ("run", "resume", "ls", "status", "graph", "node", "why", "best", "stop", "init", "doctor"):
        assert f"\n  {command} " in asked.stdout
        assert place.evolve(command, "--help").exit_code == 0


def test_version(place: Place) -> None:
    assert place.evolve("--version").stdout.startswith("evolve, version ")


def test_a_broken_pipe_is_quiet(finished: Place) -> None:
    process = finished.process("plugins", "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait() == 1


def test_init_writes_a_job_that_runs_as_it_is(place: Place) -> None:
    folder = place.folder / "my first job"
    written = place.evolve("init", str(folder))
    assert written.exit_code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["grader.py", "initial.py", "job.yaml", "task.md"]
    assert place.data("config", "check", str(folder / "job.yaml"))["direction"] == "minimize"
    assert place.data("config", "show", str(folder / "job.yaml"))["name"] == "my-first-job"
    small = ["--set", "sandbox=process", "--set", "budget.steps=4"]
    found = place.data("run", str(folder / "job.yaml"), "--name", "first", *small)
    assert found["stop_reason"] == "steps"
    assert 0 < found["best"]["score"] <= 0.5241


def test_init_overwrites_nothing(place: Place) -> None:
    (place.folder / "mine").mkdir()
    (place.folder / "mine" / "grader.py").write_text("precious")
    result = place.evolve("init", str(place.folder / "mine"))
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {place.folder / 'mine'}: has grader.py already\n")
    assert [path.name for path in (place.folder / "mine").iterdir()] == ["grader.py"]
    assert place.evolve("init", str(place.job)).stderr.startswith(f"error: {place.job}: is a file\n")


def test_doctor_of_a_job(place: Place) -> None:
    result = place.evolve("doctor", str(place.job))
    assert result.exit_code == 0
    assert "ok       the job's sandbox: process: " in result.stdout
    assert result.stdout.endswith("a run can start\n")


def test_doctor_of_a_job_that_cannot_start(place: Place) -> None:
    place.job.write_text(JOB.replace("path: task", "path: elsewhere"))
    found = place.evolve("doctor", str(place.job), "--json")
    assert found.exit_code == 4
    assert '"can_start": false' in found.stdout
    place.job.write_text("version: 2\n")
    assert "failed   job: " in place.evolve("doctor", str(place.job)).stdout


def test_when_a_run_can_start() -> None:
    works, missing = Finding("sandbox docker", "ok", ""), Finding("sandbox namespace", "missing", "")
    assert can_start([missing, works], with_job=False)
    assert not can_start([missing], with_job=False)
    assert can_start([missing], with_job=True)
    assert not can_start([works, Finding("job", "failed", "")], with_job=True)


class Models(http.server.BaseHTTPRequestHandler):
    """Takes one key, and says where to go when asked for another path."""

    def do_GET(self) -> None:
        known = self.headers.get("Authorization") == "Bearer good"
        self.send_response(307 if self.path.startswith("/away") else 200 if known else 401)
        self.send_header("Location", "/v1/models")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Models) as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{serving.server_address[1]}"
        serving.shutdown()
        thread.join()


def test_endpoints(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    config = Config(model="m", base_url=f"{server}/v1", api_key_env="TOY_KEY")
    monkeypatch.delenv("TOY_KEY", raising=False)
    assert endpoint(config).said == "wants a key, and TOY_KEY is not set (HTTP 401)"
    monkeypatch.setenv("TOY_KEY", "bad")
    assert (endpoint(config).verdict, endpoint(config).said) == ("failed", "refuses the key (HTTP 401)")
    monkeypatch.setenv("TOY_KEY", "good")
    assert (endpoint(config).verdict, endpoint(config).said) == ("ok", "answers; m by $TOY_KEY")
    away = Config(model="m", base_url=f"{server}/away", api_key_env="TOY_KEY")
    assert endpoint(away).said == "answers, but does not list its models (HTTP 307)"
    down = Config(model="m", base_url="http://127.0.0.1:9/v1", api_key_env="TOY_KEY")
    assert endpoint(down).verdict == "failed"
    assert "cannot be reached" in endpoint(down).said

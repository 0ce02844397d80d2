"""Several models in a role: what a job may say of them, and whole runs whose models are behind a real endpoint."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from run.test_engine import Watch, graph_of, work

from evolve.config import AgentConfig, LLMConfig, Sampling, arms
from evolve.graph import SearchGraph
from evolve.jobfile import load_job
from evolve.llm import manual, openai
from evolve.run import rundir, session
from evolve.run.calls import read_calls
from evolve.run.rundir import RunDir
from evolve.testing.openai_server import Answer, OpenAIServer, Seen, completion, failure

# What a job may say


def configured(coder: list[str], **keys: Any) -> LLMConfig:
    return LLMConfig.model_validate({"coder": [{"kind": "openai", "model": model} for model in coder], **keys})


@given(st.lists(st.sampled_from(["m", "m#2", "m#3", "n"]), max_size=6))
def test_every_provider_of_a_role_has_a_name_of_its_own(models: list[str]) -> None:
    named = arms([openai.Config(model=model) for model in models])
    assert len(named) == len(models)
    assert [provider.model for provider in named.values()] == models  # type: ignore[attr-defined]


def test_a_provider_is_called_by_its_model_or_its_kind() -> None:
    providers = [openai.Config(model="m"), manual.Config(), openai.Config(model="m"), manual.Config()]
    assert list(arms(providers)) == ["m", "manual", "m#2", "manual#2"]


def test_the_first_comes_first_unless_the_job_says_otherwise() -> None:
    assert configured(["a", "b"]).choice == "first"


def test_a_weight_that_is_not_given_is_one() -> None:
    llm = configured(["a", "b", "a"], choice="weights", weights={"a#2": 3})
    assert llm.weighted(llm.coder) == {"a": 1, "b": 1, "a#2": 3}


@pytest.mark.parametrize(
    ("coder", "keys", "said"),
    [
        (["a"], {"choice": "bandit"}, "'bandit' has nothing to choose from"),
        (["a", "b"], {"weights": {"a": 1}}, "weights: they are for `choice: weights`"),
        (["a", "b"], {"choice": "weights", "weights": {"c": 1}}, "no list of providers has c (known: a, b)"),
        (["a", "b"], {"choice": "weights", "weights": {"a": 0, "b": 0}}, "cannot all have weight 0"),
        (["a", "b"], {"choice": "weights", "weights": {"a": -1}}, "a weight is a number from 0 on"),
        (["a", "b"], {"choice": "weights", "weights": {"a": float("nan")}}, "a weight is a number from 0 on"),
        (["a", "b"], {"choice": "weights", "weights": {"a": float("inf")}}, "a weight is a number from 0 on"),
        (["a", "b"], {"choice": "ucb"}, "'first', 'weights' or 'bandit'"),
    ],
)
def test_a_choice_that_would_do_nothing_is_refused(coder: list[str], keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        configured(coder, **keys)
    assert said in str(caught.value)


def test_the_short_form_has_nothing_to_choose_from() -> None:
    with pytest.raises(ValidationError, match="nothing to choose from"):
        LLMConfig.model_validate({"kind": "openai", "model": "m", "choice": "weights"})


def test_the_strategist_has_the_coders_models_unless_it_has_its_own() -> None:
    llm = configured(["a", "b"])
    assert {role: list(arms(providers)) for role, providers in llm.by_role.items()} == {
        "strategist": ["a", "b"],
        "coder": ["a", "b"],
    }


def test_what_an_operator_leaves_out_comes_from_the_default() -> None:
    raw = {"default": {"temperature": 0.7, "effort": "low"}, "debug": {"temperature": 0.0}, "fuse": {"effort": "high"}}
    agent = AgentConfig.model_validate({"sampling": raw})
    assert agent.sampling_of("debug") == Sampling(temperature=0.0, effort="low")
    assert agent.sampling_of("fuse") == Sampling(temperature=0.7, effort="high")
    assert agent.sampling_of("draft") == Sampling(temperature=0.7, effort="low")
    assert AgentConfig().sampling_of("draft") == Sampling()


def test_sampling_for_an_operator_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValidationError, match="did you mean 'improve'"):
        AgentConfig.model_validate({"sampling": {"improv": {"temperature": 1}}})


def test_an_operator_of_another_package_is_named_by_its_kind() -> None:
    agent = AgentConfig.model_validate({"sampling": {"evolve.operators.fuse": {"temperature": 1}}})
    assert agent.sampling_of("fuse") == Sampling(temperature=1)


# Whole runs


def reply(seen: Seen) -> Answer:
    """A plan or a program that depends on the prompt and the model alone; `good` writes better ones than `bad`."""
    model = seen.body["model"]
    told = hashlib.sha256(json.dumps([model, seen.body["messages"]]).encode()).hexdigest()
    number = int(told[:6], 16) % 1000
    if model.startswith("planner"):
        hypothesis = f"idea {told[:12]} {told[12:24]}"
        text = json.dumps({"hypothesis": hypothesis, "why": "", "changes": [], "keep": "", "predicted_gain": None})
    elif model == "good":
        text = f"```python path=p.py\nscore = {number}\n```"
    else:
        text = f"```python path=p.py\n{'broken' if number % 3 else 'score'} = {number / 1000}\n```"
    return completion(text, model=model)


def start(folder: Path, url: str, llm: dict[str, Any], **sections: Any) -> RunDir:
    def behind(*models: str) -> list[dict[str, Any]]:
        return [{"kind": "openai", "model": model, "base_url": url} for model in models]

    job = {
        "name": "toy",
        "task": "run.fake_task",
        "sandbox": "process",
        "search": {"workers": 1},
        "llm": {
            "strategist": behind("planner-1", "planner-2"),
            "coder": behind("bad", "good"),
            "retry": {"attempts": 1},
            **llm,
        },
        **sections,
    }
    (folder / "job.yaml").write_text(yaml.safe_dump(job))
    loaded = load_job(folder / "job.yaml")
    return rundir.create(folder / "runs", "toy", loaded, session.manifest_facts(session.build_parts(loaded)))


def test_temperature_and_effort_follow_the_operator_and_the_models_the_journal(tmp_path: Path) -> None:
    sampling = {"default": {"temperature": 0.7}, "debug": {"temperature": 0.1, "effort": "high"}}
    with OpenAIServer(reply) as server:
        llm = {"choice": "weights", "weights": {"bad": 3}}
        search = {"workers": 1, "drafts": 2, "improves": 1, "operators": ["draft", "improve", "debug"]}
        run = start(tmp_path, server.base_url, llm, search=search, agent={"sampling": sampling}, budget={"steps": 16})
        assert work(run) == "steps"
        requests = server.requests
    graph, calls = graph_of(run), list(read_calls(run.calls))
    assert len(requests) == len(calls) == 30
    seen = set()
    for call, request in zip(calls, requests, strict=True):
        expansion = graph.expansions[call.expansion_id]
        assert request.body["model"] == call.model == expansion.models[call.role]
        sent = (request.body["temperature"], request.body.get("reasoning_effort"))
        assert sent == ((0.1, "high") if expansion.operator == "debug" else (0.7, None))
        seen.add((expansion.operator, call.role, call.model))
    assert {operator for operator, _, _ in seen} >= {"draft", "debug", "improve"}
    assert {model for _, _, model in seen} == {"planner-1", "planner-2", "bad", "good"}
    assert graph.expansions["n1"].models == {}, "nobody wrote the given program"


def test_the_next_model_answers_for_one_that_is_down_and_the_log_says_so(tmp_path: Path) -> None:
    def half(seen: Seen) -> Answer:
        return failure(503) if seen.body["model"] == "good" else reply(seen)

    with OpenAIServer(half) as server:
        run = start(tmp_path, server.base_url, {"choice": "weights", "weights": {"bad": 0}}, budget={"steps": 5})
        assert work(run) == "steps"
    written = [call for call in read_calls(run.calls) if call.role == "coder"]
    assert {(call.model, call.instead_of) for call in written} == {("bad", "good")}
    assert {graph_of(run).expansions[call.expansion_id].models["coder"] for call in written} == {"good"}
    assert {call.instead_of for call in read_calls(run.calls) if call.role == "strategist"} == {None}
    assert run.calls.read_text().count("instead_of") == len(written)


def test_no_model_is_chosen_for_a_role_that_is_switched_off(tmp_path: Path) -> None:
    with OpenAIServer(reply) as server:
        llm = {"choice": "bandit", "strategist": []}
        run = start(tmp_path, server.base_url, llm, agent={"strategist": False}, budget={"steps": 3})
        assert work(run) == "steps"
    assert [list(expansion.models) for expansion in graph_of(run).expansions.values()] == [[], ["coder"], ["coder"]]


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A whole run of a bandit."""
    with OpenAIServer(reply) as server:
        run = start(tmp_path_factory.mktemp("whole"), server.base_url, {"choice": "bandit"}, budget={"steps": 30})
        assert work(run) == "steps"
    return run


def asked(run: RunDir, role: str) -> Counter[str]:
    models = [expansion.models for expansion in graph_of(run).expansions.values()]
    return Counter(one[role] for one in models if one)


def test_a_bandit_asks_the_better_model_more(learnt: RunDir) -> None:
    coders = asked(learnt, "coder")
    assert coders["good"] > 2 * coders["bad"] > 0
    assert set(asked(learnt, "strategist")) == {"planner-1", "planner-2"}


@pytest.fixture
def rerun(learnt: RunDir, tmp_path: Path) -> Callable[[str], RunDir]:
    """A copy of that run whose models are behind another server."""

    def copy(url: str) -> RunDir:
        run = RunDir(Path(shutil.copytree(learnt.path, tmp_path / "copy", symlinks=True)))
        job = yaml.safe_load(run.config.read_text())
        for provider in (*job["llm"]["strategist"], *job["llm"]["coder"]):
            provider["base_url"] = url
        run.config.write_text(yaml.safe_dump(job))
        return run

    return copy


@pytest.mark.parametrize("kept", [1, 2, 13, 40])
def test_a_bandit_whose_run_was_cut_off_chooses_the_same(
    kept: int, learnt: RunDir, rerun: Callable[[str], RunDir]
) -> None:
    """After any commit; an even number of them leaves an expansion in flight."""
    with OpenAIServer(reply) as server:
        run = rerun(server.base_url)
        lines = run.journal.read_bytes().splitlines(keepends=True)
        run.journal.write_bytes(b"".join(lines[:kept]))
        assert work(run) == "steps"
    assert run.journal.read_bytes() == learnt.journal.read_bytes()


def test_a_bandit_that_is_stopped_now_and_then_chooses_the_same(learnt: RunDir, tmp_path: Path) -> None:
    class Stopping(Watch):
        def added(self, graph: SearchGraph, node: object) -> None:
            if len(graph.nodes) % 7 == 0:
                run.stop.touch()

    with OpenAIServer(reply) as server:
        run = start(tmp_path, server.base_url, {"choice": "bandit"}, budget={"steps": 30})
        reasons = [work(run, Stopping()) for _ in range(5)]
    assert reasons == ["stop_file"] * 4 + ["steps"]
    assert run.journal.read_bytes() == learnt.journal.read_bytes()

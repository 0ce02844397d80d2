"""A job file: every problem at once, each with where, what and a way out."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from evolve.config import JobConfig
from evolve.errors import ConfigError
from evolve.jobfile import dump_job, load_job
from evolve.search.policies import mcgs

MINIMAL = "name: toy\ntask: {kind: program, path: .}\nllm: {kind: mutation}\n"


@pytest.fixture
def write(tmp_path: Path):  # type: ignore[no-untyped-def]
    def write(text: str) -> Path:
        path = tmp_path / "job.yaml"
        path.write_text(text)
        return path

    return write


def problems(path: Path, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_job(path, overrides)
    assert caught.value.hint
    return [line.removeprefix(f"{path}:") for line in caught.value.message.splitlines()]


def test_defaults_are_written_out_and_read_back(write) -> None:  # type: ignore[no-untyped-def]
    path = write(MINIMAL)
    job = load_job(path)
    assert job.base_dir == path.parent
    assert [operator.kind for operator in job.config.search.operators] == [
        "draft",
        "improve",
        "debug",
        "evolve",
        "fuse",
        "aggregate",
    ]
    assert job.config.budget.steps == 100
    dumped = dump_job(job.config)
    assert load_job(write(dumped)).config == job.config
    assert yaml.safe_load(dumped)["sandbox"]["kind"] == "auto"


def test_all_problems_at_once_with_line_and_remedy(write) -> None:  # type: ignore[no-untyped-def]
    text = """\
name: bad name
task: {kind: program, path: ., timeout_seconds: 3}
search:
  worker: 4
  operators: [draft, improv]
  drafts: many
llm:
  strategist: {kind: openai, modle: x}
  coder: {kind: mutation}
budget: {steps: 0}
sed: 1
"""
    found = "\n".join(problems(write(text)))
    assert "1: name: letters, digits" in found
    assert "2: task.timeout_seconds: unknown key; did you mean 'timeout_s'?" in found
    assert "4: search.worker: unknown key; did you mean 'workers'?" in found
    assert "5: search.operators.1: unknown operator kind 'improv'; did you mean 'improve'?" in found
    assert "6: search.drafts: should be a valid integer, unable to parse string as an integer, found 'many'" in found
    assert "8: llm.strategist.modle: unknown key; did you mean 'model'?" in found
    assert "8: llm.strategist.model: this key is required" in found
    assert "10: budget.steps: should be greater than or equal to 1, found 0" in found
    assert "11: sed: unknown key; did you mean 'seed'?" in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a job file is a mapping of keys, found nothing"),
        ("- a", "found list"),
        ("name: [", "not valid YAML"),
        ("name: a\nname: b\n", "name is given twice (first on line 1)"),
        ("llm: {kind: mutation}\n", "name: this key is required"),
        (
            "name: a\ntask: {kind: program, path: ., objectives: [{name: b, direktion: x}]}\nllm: {kind: mutation}\n",
            "2: task.objectives.0.direktion: unknown key; did you mean 'direction'? (known: name, direction)",
        ),
        (MINIMAL + "memory: 3\n", "expected a memory kind"),
        (MINIMAL + "memory: {}\n", "`kind` is missing"),
        (MINIMAL + "memory: evolve.errors\n", "unknown memory kind 'evolve.errors'"),
        (
            MINIMAL + "search: {exploit_from: .9, exploit_settled: .5}\n",
            "exploit_settled must not be below exploit_from",
        ),
        (MINIMAL + "version: 2\n", "version: should be 1, found 2"),
    ],
)
def test_messages(write, text: str, said: str) -> None:  # type: ignore[no-untyped-def]
    assert said in "\n".join(problems(write(text)))


def test_a_missing_file_and_one_that_is_not_text(tmp_path: Path) -> None:
    assert "there is no such job file" in problems(tmp_path / "none.yaml")[0]
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in problems(tmp_path / "binary.yaml")[0]


def test_overrides_win_over_the_file(write) -> None:  # type: ignore[no-untyped-def]
    path = write(MINIMAL + "budget: {steps: 3}\n")
    overrides = [
        "budget.steps=7",
        "search.workers=1",
        "sandbox.kind=process",
        "search.operators=[draft]",
        "memory=none",
    ]
    config = load_job(path, overrides).config
    assert (config.budget.steps, config.search.workers, config.sandbox.kind, config.memory.kind) == (
        7,
        1,
        "process",
        "none",
    )
    assert [operator.kind for operator in config.search.operators] == ["draft"]


def test_an_override_reaches_into_a_plugin_named_by_its_kind(write) -> None:  # type: ignore[no-untyped-def]
    config = load_job(write(MINIMAL + "memory: fixes\n"), ["memory.most=5"]).config
    assert config.memory.model_dump() == {"kind": "fixes", "most": 5}


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("steps", "not of the form KEY=VALUE"),
        ("budget.stepz=3", "--set budget.stepz: unknown key; did you mean 'steps'?"),
        ("budget.steps=[", "the value is not valid YAML"),
        ("name.first=x", "--set name: should be a valid string"),
        ("llm.model=3", "--set llm.model: unknown key"),
        ("search.operators.7.kind=x", "search.operators"),
        ("llm.coder.0.model=x", "--set llm.coder.0.model: llm.coder is not a list in this file: it has no number 0"),
        ("llm.0=mutation", "--set llm.0: llm is not a list in this file: it has no number 0"),
        ("3=x", "--set 3: a job file is not a list"),
    ],
)
def test_a_wrong_override_is_told_as_such(write, override: str, said: str) -> None:  # type: ignore[no-untyped-def]
    assert said in "\n".join(problems(write(MINIMAL), override))


def test_a_kind_set_over_keys_of_another_says_how_to_replace_them_all(write) -> None:  # type: ignore[no-untyped-def]
    path = write(MINIMAL + "sandbox: {kind: auto, minimum: process}\n")
    said = "\n".join(problems(path, "sandbox.kind=process"))
    assert "4: sandbox.minimum: unknown key" in said
    assert "--set sandbox=KIND replaces all of `sandbox`" in said


def test_one_provider_stands_for_all_roles_and_a_list_for_fallback(write) -> None:  # type: ignore[no-untyped-def]
    text = """\
name: toy
task: {kind: program, path: .}
llm:
  coder: [{kind: openai, model: big}, {kind: openai, model: small}]
  prices: {big: {prompt_usd: 1, completion_usd: 2}}
"""
    llm = load_job(write(text)).config.llm
    assert [provider.model_dump()["model"] for provider in llm.coder] == ["big", "small"]
    assert (llm.strategist, llm.reviewer) == ([], [])
    assert llm.prices["big"].completion_usd == 2


def test_every_key_of_every_section_is_documented() -> None:
    def undocumented(model: type, seen: set[type]) -> list[str]:
        seen.add(model)
        found = []
        for name, field in model.model_fields.items():  # type: ignore[attr-defined]
            inner = field.annotation
            if isinstance(inner, type) and hasattr(inner, "model_fields") and inner not in seen:
                found += undocumented(inner, seen) if inner.__module__ == "evolve.config" else []
                documented = field.description or inner.__doc__
            else:
                documented = field.description
            if not documented and name != "kind":
                found.append(f"{model.__name__}.{name}")
        return found

    assert undocumented(JobConfig, set()) == []


def test_a_schema_for_editors() -> None:
    schema = JobConfig.model_json_schema()
    search = schema["properties"]["search"]["anyOf"]
    assert "mcgs" in search[0]["enum"]
    [mcgs_schema] = [one for one in search if one.get("properties", {}).get("kind", {}).get("const") == "mcgs"]
    operators = mcgs_schema["properties"]["operators"]["items"]
    assert operators["anyOf"][0]["enum"] == ["aggregate", "debug", "draft", "evolve", "fuse", "improve"]


@given(
    st.dictionaries(st.text(max_size=8), st.recursive(st.none() | st.text() | st.integers(), st.lists, max_leaves=5))
)
def test_no_mapping_whatever_raises_anything_but_a_config_error(raw: dict[str, object]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.yaml"
        path.write_text(yaml.safe_dump(raw))
        with pytest.raises(ConfigError):
            load_job(path)


@given(
    st.sampled_from(sorted(mcgs.Config.model_fields)),
    st.recursive(st.none() | st.floats() | st.text(), st.lists, max_leaves=3),
)
def test_no_value_of_a_search_key_raises_anything_but_a_config_error(key: str, value: object) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.yaml"
        path.write_text(MINIMAL + yaml.safe_dump({"search": {key: value}}))
        try:
            problem = "" if load_job(path).config.search else "no section"
        except ConfigError as error:
            problem = error.message
        assert not problem or key in problem

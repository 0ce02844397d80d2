"""What every LLM provider must do. Subclass `LLMContract` in a test module, and pytest runs it over your provider.

    class TestMine(LLMContract):
        def make_config(self, folder):
            return Config(...)

It needs no more of a provider than that it can answer; what it says is its own business.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import ValidationError

from evolve.errors import LLMError
from evolve.llm.base import LLM, Materials, Message, Reply, Request
from evolve.plugins import BuildContext, PluginConfig

SCHEMA = {
    "type": "object",
    "properties": {"hypothesis": {"type": "string"}},
    "required": ["hypothesis"],
    "additionalProperties": False,
}
PROGRAM = {"program.py": "def answer():\n    return [1, 2.5, 3]\n"}


def contract_request(
    call_id: str = "n2/coder/1", text: str = "Improve the program.", *, with_schema: bool = False
) -> Request:
    """A call like those of a real run."""
    return Request(
        call_id=call_id,
        role="coder",
        messages=(Message("system", "You write programs."), Message("user", text)),
        schema=SCHEMA if with_schema else None,
        materials=Materials(operator="improve", files=PROGRAM, baseline=PROGRAM),
    )


class LLMContract:
    """Tests of one provider. Override `make_config`, and `serving` if something must run while it is used."""

    def make_config(self, folder: Path) -> PluginConfig:
        """Settings of a provider that answers any request of `contract_request`; `folder` is an empty directory."""
        raise NotImplementedError

    @contextmanager
    def serving(self, folder: Path) -> Iterator[LLM]:
        """The provider, ready to answer until the block ends."""
        config = self.make_config(folder)
        yield config.build(BuildContext(base_dir=folder, seed=1, run_dir=folder))

    def test_its_kind_names_its_module(self, tmp_path: Path) -> None:
        config = self.make_config(tmp_path)
        module = importlib.import_module(type(config).__module__)
        assert module.Config is type(config)
        assert config.kind in (module.__name__, module.__name__.rpartition(".")[2])

    def test_settings_survive_being_written_down(self, tmp_path: Path) -> None:
        config = self.make_config(tmp_path)
        assert type(config).model_validate(config.model_dump(mode="json")) == config

    def test_every_setting_is_documented(self, tmp_path: Path) -> None:
        fields = type(self.make_config(tmp_path)).model_fields
        undocumented = [name for name, field in fields.items() if name != "kind" and not field.description]
        assert undocumented == []

    def test_an_unknown_setting_is_refused(self, tmp_path: Path) -> None:
        config = self.make_config(tmp_path)
        said = ""
        try:
            type(config).model_validate({**config.model_dump(mode="json"), "no_such_setting": 1})
        except ValidationError as error:
            said = str(error)
        assert "no_such_setting" in said

    def test_a_reply_is_whole(self, tmp_path: Path) -> None:
        with self.serving(tmp_path) as llm:
            _check(llm.complete(contract_request()))

    def test_a_schema_does_not_stop_it(self, tmp_path: Path) -> None:
        with self.serving(tmp_path) as llm:
            _check(llm.complete(contract_request(with_schema=True)))

    def test_the_same_call_can_be_made_again(self, tmp_path: Path) -> None:
        """A rollout that was interrupted before its reply was recorded."""
        with self.serving(tmp_path) as llm:
            _check(llm.complete(contract_request()))
            _check(llm.complete(contract_request()))

    def test_many_threads_may_call_at_once(self, tmp_path: Path) -> None:
        start = threading.Barrier(16)

        def call(step: int) -> Reply:
            start.wait()
            return llm.complete(contract_request(f"n{step}/coder/1"))

        with self.serving(tmp_path) as llm, ThreadPoolExecutor(16) as pool:
            for reply in pool.map(call, range(2, 18)):
                _check(reply)

    def test_no_prompt_breaks_more_than_its_own_call(self, tmp_path: Path) -> None:
        """Program output ends up in prompts, and may hold anything."""
        with self.serving(tmp_path) as llm:
            texts = ("", "\ud800 lone surrogate", "nul \x00 and \x1b[31m escape", "long " * 50_000)
            for step, text in enumerate(texts, start=3):
                with suppress(LLMError):
                    _check(llm.complete(contract_request(f"n{step}/coder/1", text)))
            _check(llm.complete(contract_request()))


def _check(reply: Reply) -> None:
    assert isinstance(reply.text, str)
    assert reply.text
    assert reply.model
    assert reply.finish in ("stop", "length", "other")
    assert reply.usage.prompt_tokens >= 0
    assert reply.usage.completion_tokens >= 0
    assert reply.usage.money_usd >= 0

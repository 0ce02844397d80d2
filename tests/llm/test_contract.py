"""The contract of providers, over those that need no earlier run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evolve.llm import manual, openai, scripted
from evolve.llm.base import LLM
from evolve.plugins import BuildContext, PluginConfig
from evolve.testing.llm_contract import LLMContract
from evolve.testing.openai_server import OpenAIServer, completion


def test_choosing_a_provider_imports_no_sdk() -> None:
    """Every provider's module is imported to list the kinds there are."""
    code = "import sys, evolve.llm.stack; from evolve.plugins import kinds; print(*kinds('llm'), *sys.modules)"
    words = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"manual", "openai", "replay", "scripted"} <= set(words)
    assert not {"openai.types", "tenacity", "httpx", "httpx2", "asyncio"} & set(words)


class TestOpenAI(LLMContract):
    def make_config(self, folder: Path) -> PluginConfig:
        return openai.Config(model="m", base_url="http://127.0.0.1:1/v1")

    @contextmanager
    def serving(self, folder: Path) -> Iterator[LLM]:
        with OpenAIServer([completion("hello")]) as server:
            config = openai.Config(model="m", base_url=server.base_url)
            yield config.build(BuildContext(base_dir=folder))


class TestStreamingOpenAI(LLMContract):
    def make_config(self, folder: Path) -> PluginConfig:
        return openai.Config(model="m", base_url="http://127.0.0.1:1/v1", stream=True)

    @contextmanager
    def serving(self, folder: Path) -> Iterator[LLM]:
        with OpenAIServer([completion("hello world")]) as server:
            config = openai.Config(model="m", base_url=server.base_url, stream=True)
            yield config.build(BuildContext(base_dir=folder))


class TestScripted(LLMContract):
    def make_config(self, folder: Path) -> PluginConfig:
        (folder / "replies.yaml").write_text("- hello\n")
        return scripted.Config(path=Path("replies.yaml"), cycle=True)


class TestManual(LLMContract):
    def make_config(self, folder: Path) -> PluginConfig:
        (folder / "manual").mkdir()
        for step in range(2, 18):
            (folder / "manual" / f"n{step}-coder-1.reply.md").write_text("hello")
        return manual.Config(poll_s=0.01)

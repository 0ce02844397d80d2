"""Token counts for providers that are told none. A rough rule, so that token budgets still move."""

from __future__ import annotations

from evolve.llm.base import Request, Usage

CHARACTERS_PER_TOKEN = 4


def estimated_tokens(text: str) -> int:
    """About four characters a token, rounded up; off by a factor of two for code or for scripts other than Latin."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def estimated_usage(request: Request, text: str) -> Usage:
    """What a call would count as when nobody measured it."""
    return Usage(
        prompt_tokens=sum(estimated_tokens(message.content) for message in request.messages),
        completion_tokens=estimated_tokens(text),
    )

"""Read the JSON objects in a model's reply, well formed or not. Knows nothing of what they mean.

Beyond JSON it reads what models write instead: prose around the object, trailing or missing commas, single and triple
quotes, unescaped quotes and newlines inside strings, comments, Python's constants, bare words, and an end cut off.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

_MOST_OBJECTS = 8
_DEEPEST = 32
_SPACE = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_BARE = re.compile(r"[^,}\]\n]*")
_BARE_KEY = re.compile(r"[\w-]+")
_CLOSES = re.compile(r"\s*(?:[,}\]:]|$|//|/\*)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_CONSTANTS: dict[str, Json] = {"true": True, "false": False, "null": None, "none": None}


def objects(text: str) -> Iterator[dict[str, Json]]:
    """The objects in the text, outermost only, in order; at most a handful."""
    position = text.find("{")
    for _ in range(_MOST_OBJECTS):
        if position < 0:
            return
        found, end = _read(text, position)
        if found:
            yield found
        position = text.find("{", max(end, position + 1))


def _read(text: str, start: int) -> tuple[dict[str, Json], int]:
    try:
        found, end = json.JSONDecoder(strict=False).raw_decode(text, start)
        return found, end
    except (ValueError, RecursionError):
        reader = _Reader(text, start)
        return reader.object(0), reader.at


class _Reader:
    """A recursive reader that never fails: what it cannot read ends the value it is in."""

    def __init__(self, text: str, at: int) -> None:
        self.text = text
        self.at = at

    def object(self, depth: int) -> dict[str, Json]:
        found: dict[str, Json] = {}
        self.at += 1
        while (sign := self._next()) and sign != "}":
            if sign == ",":
                self.at += 1
                continue
            key = self._key(sign)
            if key is None or self._next() != ":":
                return found
            self.at += 1
            if self._next():
                found[key] = self._value(depth + 1)
        self.at += 1
        return found

    def _array(self, depth: int) -> list[Json]:
        found: list[Json] = []
        self.at += 1
        while (sign := self._next()) and sign != "]":
            if sign == "}":
                return found
            if sign == ",":
                self.at += 1
            else:
                found.append(self._value(depth + 1))
        self.at += 1
        return found

    def _value(self, depth: int) -> Json:
        sign = self._next()
        if depth > _DEEPEST:
            self.at = len(self.text)
            return None
        if sign == "{":
            return self.object(depth)
        if sign == "[":
            return self._array(depth)
        if sign in "\"'":
            return self._string(sign)
        return self._bare()

    def _key(self, sign: str) -> str | None:
        if sign in "\"'":
            return self._string(sign)
        bare = _BARE_KEY.match(self.text, self.at)
        if bare is None:
            return None
        self.at = bare.end()
        return bare.group()

    def _string(self, quote: str) -> str:
        if self.text.startswith(quote * 3, self.at):
            start = self.at + 3
            end = self.text.find(quote * 3, start)
            self.at = end + 3 if end >= 0 else len(self.text)
            return self.text[start : end if end >= 0 else None]
        parts: list[str] = []
        self.at += 1
        while self.at < len(self.text):
            sign = self.text[self.at]
            if sign == "\\":
                parts.append(self._escape())
                continue
            self.at += 1
            if sign == quote and _CLOSES.match(self.text, self.at):
                break
            parts.append(sign)
        return "".join(parts)

    def _escape(self) -> str:
        code = self.text[self.at + 1 : self.at + 2]
        digits = self.text[self.at + 2 : self.at + 6]
        if code == "u" and re.fullmatch(r"[0-9a-fA-F]{4}", digits):
            self.at += 6
            return chr(int(digits, 16))
        self.at += 2
        return _ESCAPES.get(code, code)

    def _bare(self) -> Json:
        bare = _BARE.match(self.text, self.at)
        assert bare is not None
        self.at = max(bare.end(), self.at + 1)
        word = bare.group().strip()
        if word.lower() in _CONSTANTS:
            return _CONSTANTS[word.lower()]
        try:
            return float(word)
        except ValueError:
            return word

    def _next(self) -> str:
        """The next character that is neither blank nor comment; empty at the end."""
        space = _SPACE.match(self.text, self.at)
        self.at = space.end() if space else self.at
        return self.text[self.at : self.at + 1]

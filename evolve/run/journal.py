"""The truth about a run: one line a commit, each line checked by a CRC, durable before anything acts on it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from evolve.errors import JournalCorrupt, SchemaTooNew
from evolve.events import COMMIT, SCHEMA_VERSION, Event, RunStarted
from evolve.run.linelog import LineLog, read_lines

_PREFIX = b'{"crc":"%08x","events":'
_PREFIX_LENGTH = len(_PREFIX % 0)


class Journal:
    """The only writer of a run's journal. Raises RunLocked when there is another."""

    def __init__(self, path: Path) -> None:
        self._log = LineLog(path)

    def commit(self, events: Sequence[Event]) -> None:
        """Make events durable together. Raises DiskFull."""
        self._log.append(encode_commit(events), durable=True)

    def close(self) -> None:
        self._log.close()


def encode_commit(events: Sequence[Event]) -> bytes:
    """One line of the journal, without its newline."""
    return _framed(COMMIT.dump_json(list(events)))


def read_journal(path: Path) -> Iterator[Event]:
    """Every committed event, oldest first; a torn last line is left out.

    Raises JournalCorrupt naming file and line, and SchemaTooNew.
    """
    for number, line in enumerate(read_lines(path), start=1):
        payload = line[_PREFIX_LENGTH:-1]
        if line != _framed(payload):
            raise _damaged(path, number, "its checksum does not match")
        try:
            events = COMMIT.validate_json(payload)
        except ValidationError as error:
            raise _damaged(path, number, error.errors()[0]["msg"]) from None
        for event in events:
            if isinstance(event, RunStarted) and event.schema_version > SCHEMA_VERSION:
                raise SchemaTooNew(
                    f"{path}: written in format {event.schema_version}, this version reads up to {SCHEMA_VERSION}",
                    hint="use the evolve version that manifest.json names, or a newer one",
                )
            yield event


def _framed(payload: bytes) -> bytes:
    return b"%s%s}" % (_PREFIX % zlib.crc32(payload), payload)


def _damaged(path: Path, line: int, reason: str) -> JournalCorrupt:
    rescue = (
        f"keep the intact beginning with `head -n {line - 1}` and resume from there" if line > 1 else "start a new run"
    )
    return JournalCorrupt(
        f"{path}:{line}: this line of the journal is damaged: {reason}",
        hint=f"restore the file from a backup, or {rescue}",
    )

"""Texts by digest: programs, evaluations, prompts and replies, each stored once, compressed, in one SQLite file."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from evolve.errors import DiskFull, RunError
from evolve.run.disk import disk_full

_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
"""The second one: no room for the index of its write-ahead log."""


class Artifacts:
    """Thread-safe. `put` is durable only after `flush`: blobs first, commit second."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._full = False
        """Whether there was no room once: SQLite then forgets every text put since the last flush."""
        if read_only:
            self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)
            return
        self._db = sqlite3.connect(path, check_same_thread=False)
        try:
            with self._guarded():
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=FULL")
                self._db.execute("CREATE TABLE IF NOT EXISTS artifacts (digest TEXT PRIMARY KEY, data BLOB NOT NULL)")
                self._db.commit()
        except DiskFull:
            self._db.close()
            raise

    def put(self, text: str) -> str:
        """Store a text; its SHA-256 in hex. Lone surrogates, which no encoding carries, become question marks."""
        data = text.encode("utf-8", "replace")
        digest = hashlib.sha256(data).hexdigest()
        with self._guarded():
            self._db.execute("INSERT OR IGNORE INTO artifacts VALUES (?, ?)", (digest, zlib.compress(data)))
        return digest

    def get(self, digest: str) -> str:
        """Raises RunError when there is no such text."""
        with self._lock:
            row = self._db.execute("SELECT data FROM artifacts WHERE digest = ?", (digest,)).fetchone()
        if row is None:
            raise RunError(
                f"{self._path}: the text {digest[:12]} is missing",
                hint="the file was replaced or cut; restore it from a backup",
            )
        return zlib.decompress(row[0]).decode()

    def flush(self) -> None:
        """Everything put so far is on disk when this returns. Raises DiskFull."""
        with self._guarded():
            self._db.commit()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Hold the lock, and turn SQLite's words for a full disk into ours.

        Once full, always full: another thread's texts are gone too, and its flush must not succeed without them.
        """
        with self._lock:
            if self._full:
                raise disk_full(self._path)
            try:
                yield
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode not in _NO_ROOM:
                    raise
                self._full = True
                raise disk_full(self._path) from None

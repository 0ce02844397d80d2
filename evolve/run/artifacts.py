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


class Artifacts:
    """Thread-safe. `put` is durable only after `flush`: blobs first, commit second."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._lock = threading.Lock()
        if read_only:
            self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)
            return
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("CREATE TABLE IF NOT EXISTS artifacts (digest TEXT PRIMARY KEY, data BLOB NOT NULL)")
        self._db.commit()

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
        """Hold the lock, and turn SQLite's word for a full disk into ours."""
        with self._lock:
            try:
                yield
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
                    raise
                raise DiskFull(
                    f"{self._path}: no space left; everything recorded before is intact",
                    hint="free some space, then go on with `evolve resume`",
                ) from None

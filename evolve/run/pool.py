"""N workers that do rollouts. This is where a cluster would plug in. Knows nothing of what the work is."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Finished(Generic[Result]):
    """One piece of work that ended: a result, or the exception it raised."""

    id: str
    result: Result | None
    error: BaseException | None


class Pool(Generic[Work, Result]):
    """Threads are enough: rollouts wait on the network and on other processes.

    The threads are daemons, so that work which cannot be interrupted does not keep a stopping process alive.
    """

    def __init__(self, workers: int, function: Callable[[Work], Result]) -> None:
        self._function = function
        self._todo: queue.SimpleQueue[tuple[str, Work] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Finished[Result] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._serve, name=f"rollout-{number}", daemon=True) for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, work_id: str, work: Work) -> None:
        self._todo.put((work_id, work))

    def wait(self, timeout_s: float) -> Finished[Result] | None:
        """The next piece of work that ended; None after `timeout_s` or when woken."""
        try:
            return self._done.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def wake(self) -> None:
        """Make `wait` return now. May be called from a signal handler."""
        self._done.put(None)

    def close(self, *, wait: bool) -> None:
        """Let the workers end; with `wait`, until they have."""
        for _ in self._threads:
            self._todo.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _serve(self) -> None:
        while (task := self._todo.get()) is not None:
            work_id, work = task
            try:
                self._done.put(Finished(work_id, self._function(work), None))
            except BaseException as error:  # noqa: BLE001 - the engine decides what an exception means
                self._done.put(Finished(work_id, None, error))

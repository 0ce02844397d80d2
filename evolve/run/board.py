"""Where drafts that are written at the same time tell each other their plans."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from evolve.agent.brief import Plan
from evolve.errors import BudgetSpent, ServiceError

_LOOK_S = 0.2
"""How often a waiting draft looks whether it was interrupted."""


class Plans:
    """Thread-safe. A draft waits for the plans of those started before it and for no other, so none waits for ever."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._drafting: set[str] = set()
        self._plans: dict[str, Plan | None] = {}
        """None for a draft that ended without a plan."""
        self._suspended: dict[str, str] = {}
        """Drafts that a resume will take up again, with the reason; what they will plan is not known now."""

    @contextmanager
    def drafting(self, expansion_id: str) -> Iterator[None]:
        """Around the work on a draft: whoever waits for it is released when it ends, however it ends."""
        self._drafting.add(expansion_id)
        try:
            yield
        except BaseException as error:
            abandoned = isinstance(error, ServiceError) and not error.stops_run
            with self._news:
                if not abandoned:
                    self._suspended[expansion_id] = str(error)
            raise
        finally:
            with self._news:
                self._drafting.remove(expansion_id)
                if expansion_id not in self._suspended:
                    self._plans.setdefault(expansion_id, None)
                self._news.notify_all()

    def publish(self, expansion_id: str, plan: Plan) -> None:
        """Tell what was planned; of an expansion that is no draft nobody wants to know."""
        with self._news:
            if expansion_id in self._drafting:
                self._plans[expansion_id] = plan
            self._news.notify_all()

    def wait_for(self, expansion_ids: Iterable[str], interrupt: threading.Event) -> dict[str, Plan | None]:
        """The plans of these drafts, as soon as all are known.

        Raises BudgetSpent when interrupted, and when one of them stays in flight without a plan: waiting for it is then
        left to a resume, so that the prompt which tells of it is the same in the end.
        """
        with self._news:
            return {expansion_id: self._wait(expansion_id, interrupt) for expansion_id in expansion_ids}

    def _wait(self, expansion_id: str, interrupt: threading.Event) -> Plan | None:
        while expansion_id not in self._plans:
            if interrupt.is_set():
                raise BudgetSpent("interrupted")
            if expansion_id in self._suspended:
                raise BudgetSpent(self._suspended[expansion_id])
            self._news.wait(_LOOK_S)
        return self._plans[expansion_id]

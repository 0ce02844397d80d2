"""How many branches a search works on: exp(H) of the latest expansions, over the run. Knows nothing of scores."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator

from evolve.graph import WINDOW
from evolve.view.statistics import effective_number


def effective_branches(branch_ids: Iterable[str]) -> Iterator[float]:
    """After each expansion in the order they were started, what `SearchGraph.effective_branches` was then.

    Counted from the branches rather than taken from `Selection.branches`, so that it has the newest expansion in it
    and does not depend on which search policy decided.
    """
    recent: deque[str] = deque()
    counts: Counter[str] = Counter()
    for branch_id in branch_ids:
        recent.append(branch_id)
        counts[branch_id] += 1
        if len(recent) > WINDOW:
            counts[recent.popleft()] -= 1
            counts += Counter()  # drops what has come to zero
        yield effective_number(counts.values())

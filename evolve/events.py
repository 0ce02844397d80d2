"""What happened, in the past tense. A run is the fold of these; nothing in them depends on the clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from evolve.graph import Cost, Direction, Expansion, Node, Objective, Status

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class RunStarted:
    task: str
    direction: Direction
    seed: int
    objectives: tuple[Objective, ...] = ()
    """Several aims of the task; none where the score is the only one."""
    given: int = 1
    """How many programs the search starts from: the task's own first, then others."""
    schema_version: int = SCHEMA_VERSION
    kind: Literal["run_started"] = "run_started"


@dataclass(frozen=True, slots=True)
class ExpansionStarted:
    """Durable before anything acts on it."""

    expansion: Expansion
    kind: Literal["expansion_started"] = "expansion_started"


@dataclass(frozen=True, slots=True)
class ExpansionAbandoned:
    """A service failed for good; no node gets the blame."""

    expansion_id: str
    parent_id: str
    reason: str
    cost: Cost = field(default_factory=Cost)
    """What its model calls had cost by then."""
    kind: Literal["expansion_abandoned"] = "expansion_abandoned"


@dataclass(frozen=True, slots=True)
class NodeAdded:
    node: Node
    kind: Literal["node_added"] = "node_added"


@dataclass(frozen=True, slots=True)
class RewardBackpropagated:
    """The reward is stored, so an old run folds the same under a newer formula."""

    node_id: str
    reward: float
    reference_reward: float = 0.0
    """What each node that was read for it receives; it counts no visit."""
    kind: Literal["reward_backpropagated"] = "reward_backpropagated"


@dataclass(frozen=True, slots=True)
class Experience:
    """What one node taught, failures included."""

    node_id: str
    parent_id: str
    operator: str
    status: Status
    title: str
    gain: float | None
    """Change of the score against the parent, more is better, in the task's own units; none where either has no score."""
    error_signature: str | None
    """Digest of what the program failed with, numbers and paths masked; equal signatures mean the same bug."""
    lesson: str
    """One line a later plan can act on."""
    predicted_gain: float | None = None
    """What the plan expected."""


@dataclass(frozen=True, slots=True)
class ExperienceRecorded:
    experience: Experience
    kind: Literal["experience_recorded"] = "experience_recorded"


Event = RunStarted | ExpansionStarted | ExpansionAbandoned | NodeAdded | RewardBackpropagated | ExperienceRecorded

COMMIT: TypeAdapter[list[Event]] = TypeAdapter(list[Annotated[Event, Field(discriminator="kind")]])
"""One commit: the events that became true together."""

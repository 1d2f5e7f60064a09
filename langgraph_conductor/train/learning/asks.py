"""What passes between the parts of training: what is asked, what was written, what it was worth."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from langgraph_conductor.episodes import Episode
from langgraph_conductor.planners import PlanRequest
from langgraph_conductor.records import RoundRecord
from langgraph_conductor.rewards import Task
from langgraph_conductor.workers import WorkerPool


@dataclass(frozen=True, slots=True)
class Ask:
    """What one rollout is asked: a task, the workers it is offered, and an earlier round, if it goes on from one.

    Args:
        task: The question and its grader.
        pool: The workers as offered: drawn, excluded, renumbered.
        previous: Rounds it goes on from; empty in a first round.
        seed: The sample of its workers' replies.
    """

    task: Task
    pool: WorkerPool
    previous: tuple[RoundRecord, ...] = ()
    seed: int = 0

    def request(self, max_steps: int) -> PlanRequest:
        """What a planner is asked, for its prompt."""
        question = ({"type": "text", "text": self.task.question},)
        return PlanRequest(question, self.pool, max_steps, self.previous)


Group = Sequence[Ask]
"""The asks of one group of rollouts, one for each: all of one question, and their rewards are compared."""


@dataclass(frozen=True, slots=True)
class Example:
    """A plan worth imitating.

    Args:
        ask: What was asked.
        text: The plan that was written, and was right when it ran.
    """

    ask: Ask
    text: str


@dataclass(frozen=True, slots=True)
class Scored:
    """What a plan text was worth.

    Args:
        reward: The reward; `None` if the infrastructure failed, which is nobody's fault.
        episode: What happened.
        seconds: Seconds running it took here, with queues and replays.
    """

    reward: float | None
    episode: Episode
    seconds: float = 0.0
    parts: dict[str, float] = field(default_factory=dict)

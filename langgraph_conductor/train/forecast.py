"""What a training will ask and cost, and whether it fits a GPU: told before anything is paid."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import fmean
from typing import Final

from langgraph_conductor.errors import ConfigError
from langgraph_conductor.planners.fixed import SOLVE, USE
from langgraph_conductor.rewards import Task
from langgraph_conductor.train.config import Stage
from langgraph_conductor.train.improving import first_round_batches
from langgraph_conductor.train.memory import GIB, memory, parameters, setups, shape_of
from langgraph_conductor.train.preparing import known_tasks, warm_start_batches
from langgraph_conductor.train.session import Session
from langgraph_conductor.usage import Usage
from langgraph_conductor.workers import Worker
from langgraph_conductor.workflow import ALL, Step, Workflow

_DRAWN: Final = 64
"""Random workflows an estimate is the mean of."""
_ENOUGH: Final = 50
"""Plans that ran, from which what they took is known."""


@dataclass(frozen=True, slots=True)
class Each:
    """What one workflow takes of its workers, on average.

    Args:
        calls: Model calls.
        tokens: Tokens sent and received.
        usd: Money, where prices are known.
        worst: Money if every reply is as long as it may be; `None` if a worker has no cap or no known price.
        unpriced: Share of calls whose price is unknown.
        measured: Plans this was measured over; 0 for an estimate.
    """

    calls: float
    tokens: float
    usd: Decimal
    worst: Decimal | None
    unpriced: float
    measured: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """One stage: how many workflows, and what each takes."""

    stage: Stage
    workflows: int
    each: Each

    @property
    def usd(self) -> Decimal:
        """Its likely price."""
        return self.workflows * self.each.usd

    @property
    def worst(self) -> Decimal | None:
        """Its price if every reply is as long as it may be."""
        return None if self.each.worst is None else self.workflows * self.each.worst


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is to come.

    Args:
        parts: The stages.
        paid: What was paid before.
        limit: What may be paid in all.
        memory: Lines on memory.
    """

    parts: tuple[Part, ...]
    paid: Decimal
    limit: Decimal | None
    memory: tuple[str, ...]

    @property
    def usd(self) -> Decimal:
        """The likely price of what is to come."""
        return sum((part.usd for part in self.parts), Decimal())

    def lines(self) -> list[str]:
        """As text."""
        head = f"{'stage':<12}{'plans':>10}{'calls':>12}{'tokens':>16}{'USD likely':>14}{'USD at most':>14}"
        rows = [
            f"{part.stage:<12}{part.workflows:>10,}{part.workflows * part.each.calls:>12,.0f}"
            f"{part.workflows * part.each.tokens:>16,.0f}{part.usd:>14,.2f}{_money(part.worst):>14}"
            for part in self.parts
        ]
        bounds = [part.worst for part in self.parts]
        most = None if None in bounds else sum((bound or Decimal() for bound in bounds), Decimal())
        plans = sum(part.workflows for part in self.parts)
        total = f"{'together':<12}{plans:>10,}{'':>28}{self.usd:>14,.2f}{_money(most):>14}"
        limit = "no limit is set" if self.limit is None else f"the limit is ${self.limit:,.2f}"
        return [
            head,
            *rows,
            total,
            *self._notes(),
            f"Paid so far: ${self.paid:,.2f}; {limit}.",
            *self.memory,
        ]

    def _notes(self) -> list[str]:
        measured = max((part.each.measured for part in self.parts), default=0)
        unpriced = max((part.each.unpriced for part in self.parts), default=0.0)
        notes = [
            f"As measured over {measured:,} plans of this training."
            if measured
            else "Estimated with random workers and the lengths of [assumed]; equal plans are paid once."
        ]
        if unpriced:
            notes.append(f"The price of {unpriced:.0%} of the calls is unknown and not in it.")
        return notes


def forecast(session: Session, stages: Sequence[Stage]) -> Forecast:
    """What the stages will ask and cost.

    Raises:
        ConfigError: If the tasks cannot be read.
    """
    tasks = known_tasks(session)
    planned = _each(session, tasks)
    parts = [
        Part(stage, count, _alone(session, tasks) if stage == "data" else planned)
        for stage in stages
        if (count := _workflows(session, stage, tasks))
    ]
    paid = session.spending.paid.usd or Decimal()
    return Forecast(tuple(parts), paid, session.config.limit_usd, tuple(_memory(session)))


def check_money(found: Forecast, *, may_exceed: bool) -> None:
    """Refuse to begin what is likely to cost more than it may.

    Raises:
        ConfigError: Then, or if it costs something and no limit is set.
    """
    if found.limit is None and found.usd > 0:
        raise ConfigError(
            f"this is likely to cost ${found.usd:,.2f}, and there is no limit; set limit_usd to what may be paid"
        )
    if found.limit is not None and found.paid + found.usd > found.limit and not may_exceed:
        raise ConfigError(
            f"this is likely to cost ${found.usd:,.2f} beside the ${found.paid:,.2f} paid, and limit_usd is "
            f"${found.limit:,.2f}; raise it, ask for less, or start with --spend-up-to-limit and be stopped there"
        )


def _workflows(session: Session, stage: Stage, tasks: Sequence[Task]) -> int:
    config = session.config
    learning = config.improvement(stage)
    steps = learning.steps * learning.questions * learning.rollouts
    if stage == "data" and config.data.disagreement:
        return len(tasks) * config.data.samples * sum(worker.may_be_last for worker in session.pool)
    if stage == "warm_start" and config.warm_start:
        asked, count = warm_start_batches(tasks, session.pool, config, 0)
        return config.warm_start.turns * count * sum(map(len, asked(0)))
    if stage == "recursion" and config.recursion:
        questions, count = first_round_batches(session, len(tasks))
        return steps + questions * count * config.recursion.first_rounds
    return steps if stage in ("grpo", "adapt") else 0


def _each(session: Session, tasks: Sequence[Task]) -> Each:
    spent = session.spending
    if spent.workflows >= _ENOUGH:
        return _measured(spent.charged, spent.workflows)
    draw = random.Random(0)  # noqa: S311 - no secret is made here
    workers = list(session.pool)
    able = [worker for worker in workers if worker.may_be_last]
    least, rest = divmod(session.config.assumed.steps, 1)
    drawn = []
    for _ in range(_DRAWN):
        count = min(int(least) + (draw.random() < rest), session.config.prompt.max_steps)
        names = [*(draw.choice(workers).name for _ in range(count - 1)), draw.choice(able).name]
        steps = [Step(name, USE if i else SOLVE, ALL if i else ()) for i, name in enumerate(names)]
        drawn.append((Workflow(tuple(steps)), draw.choice(tasks)))
    return _estimated(session, drawn)


def _alone(session: Session, tasks: Sequence[Task]) -> Each:
    asked = tasks[: max(1, _DRAWN // len(session.pool))]
    able: list[Worker] = [worker for worker in session.pool if worker.may_be_last]
    return _estimated(session, [(Workflow((Step(w.name, SOLVE),)), task) for w in able for task in asked])


def _estimated(session: Session, drawn: Sequence[tuple[Workflow, Task]]) -> Each:
    reply = session.config.assumed.reply_tokens
    found = [session.pool.estimate(workflow, task.question, reply_tokens=reply) for workflow, task in drawn]
    likely = [one.likely for one in found]
    bounds = [one.worst for one in found if one.worst is not None and not one.worst.unpriced_calls]
    calls = sum(one.calls for one in likely)
    return Each(
        calls / len(drawn),
        fmean(one.total_tokens for one in likely),
        sum((one.usd or Decimal() for one in likely), Decimal()) / len(drawn),
        sum((one.usd or Decimal() for one in bounds), Decimal()) / len(drawn)
        if len(bounds) == len(drawn)
        else None,
        sum(one.unpriced_calls for one in likely) / calls if calls else 0.0,
    )


def _measured(used: Usage, plans: int) -> Each:
    return Each(
        used.calls / plans,
        used.total_tokens / plans,
        (used.usd or Decimal()) / plans,
        None,
        used.unpriced_calls / used.calls if used.calls else 0.0,
        plans,
    )


def _memory(session: Session) -> list[str]:
    shape = shape_of(session.config)
    if shape is None:
        return ["Memory: unknown; the model's config.json is not here, and [model.shape] is not given."]
    lines = [f"Memory of a GPU, for {parameters(shape) / 1e9:.2f} billion weights:"]
    for setup in setups(session.config):
        found = memory(shape, session.config, setup)
        parts = {
            "weights": found.weights,
            "gradients": found.gradients,
            "optimiser": found.optimiser,
            "activations": found.activations,
            "vLLM": found.vllm,
        }
        said = ", ".join(f"{name} {size / GIB:.1f}" for name, size in parts.items())
        waits = max(1.0, found.needed / max(found.cache, 1.0))
        fits = "fits" if found.fits else "does NOT fit"
        lines.append(
            f"  {setup.name}: {fits}, {found.most / GIB:.0f} of {setup.gib:.0f} GiB at most ({said}); vLLM's "
            f"cache holds {max(found.cache, 0.0):,.0f} tokens: about {waits:.1f} waves a step"
        )
    return lines


def _money(usd: Decimal | None) -> str:
    return "unknown" if usd is None else f"{usd:,.2f}"

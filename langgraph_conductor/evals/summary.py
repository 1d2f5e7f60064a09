"""What an evaluation amounts to, as plain numbers: everything a report prints, and nothing it does not."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from langgraph_conductor.evals.results import Kind
from langgraph_conductor.evals.stats import Estimate, Paired

Verdict = Literal["better", "worse", "no difference shown"]
"""Of the first strategy against the second."""

Currency = Literal["usd", "tokens"]
"""What cost is counted in: tokens, if a price is unknown or there is nothing to pay."""

Front = Literal["on the front", "not ruled out", "dominated", ""]
"""`on the front`: no other strategy is as cheap and as accurate, and better in one of the two. `not ruled out`:
one is, but by chance it may be less accurate. `dominated`: one costs no more, and the paired interval of its
lead in accuracy does not reach below zero. Empty for ceilings, and where nothing was scored."""


@dataclass(frozen=True, slots=True)
class Use:
    """What one question took on average, over the episodes with a score.

    Args:
        planner_tokens: Tokens of the planner, sent and received.
        worker_tokens: Tokens of the workers.
        planner_usd: US dollars of the planner; `None` if a price is unknown.
        worker_usd: US dollars of the workers; `None` if a price is unknown.
        unpriced_calls: Calls without a known price, added up over these episodes.
        planner_calls: Model calls of the planner.
        worker_calls: Model calls of the workers.
        steps: Worker steps.
        wall_mean: Seconds.
        wall_p95: Seconds that 95 % of the episodes do not exceed.
    """

    planner_tokens: float
    worker_tokens: float
    planner_usd: float | None
    worker_usd: float | None
    unpriced_calls: int
    planner_calls: float
    worker_calls: float
    steps: float
    wall_mean: float
    wall_p95: float

    @property
    def tokens(self) -> float:
        """Tokens of planner and workers."""
        return self.planner_tokens + self.worker_tokens

    @property
    def usd(self) -> float | None:
        """US dollars of planner and workers; `None` if a price is unknown."""
        if self.planner_usd is None or self.worker_usd is None:
            return None
        return self.planner_usd + self.worker_usd


@dataclass(frozen=True, slots=True)
class StrategySummary:
    """One strategy in numbers. Where nothing else is said they are of the episodes with a score.

    Args:
        strategy: Its name.
        kind: What sort of strategy it is.
        note: A sentence on how it was made.
        asked: Tasks it was asked.
        samples: Episodes, those that the infrastructure failed included.
        infra: Episodes that the infrastructure failed. They have no score and are not wrong answers.
        errors: Episodes without an answer for another reason. They are wrong answers.
        stopped: Episodes that the budget ended.
        accuracy: Share of right answers.
        valid: Episodes planned by the planner itself, without a fallback.
        scored: Episodes with a score.
        accuracy_if_valid: Share of right answers among them.
        reached: How the last round was planned: episodes by `Episode.reached`.
        use: What a question took; `None` if nothing was scored.
        steps_by_difficulty: Mean worker steps by the tasks' difficulty.
        shares: Share of each worker in all steps, the largest first.
        entropy: How evenly the steps are spread over workers, in bits.
        rounds: Episodes by the number of their rounds.
        second_rounds: Episodes with a second round.
        accepted: Those of them in which it kept the first answer.
        domains: Accuracy by the tasks' domain.
        front: Whether it is worth its cost.
    """

    strategy: str
    kind: Kind
    note: str
    asked: int
    samples: int
    infra: int
    errors: int
    stopped: int
    accuracy: Estimate
    valid: int
    scored: int
    accuracy_if_valid: Estimate
    reached: Mapping[str, int]
    use: Use | None
    steps_by_difficulty: Mapping[str, float]
    shares: Mapping[str, float]
    entropy: float
    rounds: Mapping[str, int]
    second_rounds: int
    accepted: int
    domains: Mapping[str, Estimate]
    front: Front = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Strategy `a` against strategy `b` on the same tasks.

    Args:
        a: Name of the one.
        b: Name of the other.
        paired: Difference (`a - b`), interval, exact p, discordant tasks.
        adjusted: p, adjusted by Holm for all comparisons of the evaluation.
        verdict: `"better"` or `"worse"` if the interval leaves zero out and `adjusted` is below 0.05.
    """

    a: str
    b: str
    paired: Paired
    adjusted: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Summary:
    """An evaluation in numbers.

    Args:
        suite: Name of the suite.
        split: Which part of it.
        tasks: Number of tasks.
        domains: Number of tasks by domain.
        complete: Whether every strategy was asked every task, and as often.
        reference: Name of the strategy the others are compared with.
        currency: What cost is counted in for the front.
        strategies: Every strategy but ceilings, in the evaluation's order.
        ceilings: Oracles that look at the scores; never compared.
        comparisons: Against the reference, then the further ones.
        left_out: Sentences on comparisons that were asked for and cannot be made.
        about: What else a reader needs to repeat it.
    """

    suite: str
    split: str
    tasks: int
    domains: Mapping[str, int]
    complete: bool
    reference: str
    currency: Currency
    strategies: tuple[StrategySummary, ...]
    ceilings: tuple[StrategySummary, ...]
    comparisons: tuple[Comparison, ...]
    left_out: tuple[str, ...]
    about: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

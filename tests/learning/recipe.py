"""One run: a policy with random weights is warmed up, learns from rewards, and is judged on questions it never saw.

The warm start shows it what plans look like: plans drawn at random from the grammar for questions of one skill,
whatever became of them, and a few two-step plans for composed questions, drawn likewise and kept since they ran and
were right. Who can do what is learnt from rewards.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from langgraph_conductor import ChatPlanner, Step, Workflow, parse_workflow
from langgraph_conductor.errors import TrainingCollapsedError
from langgraph_conductor.evals.stats import Paired, paired
from langgraph_conductor.testing import ScriptedModel
from langgraph_conductor.train.learning.advantages import advantages
from langgraph_conductor.train.learning.asks import Ask, Example, Scored
from langgraph_conductor.train.learning.collapse import CollapseDetector
from langgraph_conductor.train.learning.grammar import PlanGrammar
from langgraph_conductor.train.learning.groups import batches
from langgraph_conductor.train.learning.scoring import Scorer
from langgraph_conductor.train.learning.settings import Imitation, Improvement
from tests.learning import policy
from tests.learning.world import ANSWER, MAX_STEPS, menu, pool, questions

Change = Literal[
    "as it is", "rewards shuffled", "advantages negated", "policy frozen", "no grammar, huge steps"
]

IMPROVEMENT = Improvement(
    steps=60,
    questions=8,
    rollouts=16,
    learning_rate=3e-4,
    schedule="constant",
    clip_norm=0.3,
    max_tokens=32,
)
WARM_STEPS, WARM_RATE, WARM_BATCH = 36, 1e-3, 16
FOUND, SHOWN = 4, 24
"""Right plans kept of each composed kind, and plans at random of the others, in the warm start."""


@dataclass(frozen=True)
class Start:
    """What all runs have in common.

    Args:
        plans: The warm start: the place of a question in the training ones, and the plan.
        tried: How many plans were run to find those for composed questions.
        single: The best single worker's score on each held-out question.
    """

    plans: tuple[tuple[int, str], ...]
    tried: int
    single: tuple[float, ...]


@dataclass(frozen=True)
class Run:
    """What came of a run: the scores are those of one sampled plan for each held-out question.

    Args:
        seed: Of weights, samples and order.
        change: What was changed in learning.
        before: After the warm start.
        after: After learning from rewards.
        single: Of the best single worker.
        readable: The least share of readable plans in a step.
        ended: Why the collapse detector ended it; empty if it did not.
        seconds: Seconds it took.
    """

    seed: int
    change: Change
    before: tuple[float, ...]
    after: tuple[float, ...]
    single: tuple[float, ...]
    readable: float
    ended: str
    seconds: float

    @property
    def over_start(self) -> Paired:
        return paired(self.after, self.before)

    @property
    def over_single(self) -> Paired:
        return paired(self.after, self.single)

    @property
    def learnt(self) -> bool:
        """The criterion: better than its start and than the best single worker, beyond chance."""
        return all(found.low > 0 and found.p < 0.05 for found in (self.over_start, self.over_single))

    def __str__(self) -> str:
        def gained(found: Paired) -> str:
            return f"{found.difference:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"

        def right(scores: Sequence[float]) -> str:
            composed = [
                score for score, task in zip(scores, questions("test"), strict=True) if task.difficulty == 2
            ]
            return f"{fmean(scores):.2f} ({fmean(composed):.2f})"

        return (
            f"seed {self.seed}, {self.change}: right (of composed) {right(self.before)} -> {right(self.after)}, "
            f"over start {gained(self.over_start)}, over best single worker {gained(self.over_single)}, "
            f"{'learnt' if self.learnt else 'not learnt'}, {self.seconds:.0f} s"
            + (f"\n    {self.ended}" if self.ended else "")
        )


def scorer() -> Scorer:
    reader = ChatPlanner(ScriptedModel(replies=["unused"]), show="anonymous", structured=False)
    return Scorer(reader, max_steps=MAX_STEPS)


def prepare(seed: int = 0) -> Start:
    """The warm start's plans, and how good each worker is alone."""
    draw = random.Random(seed)
    tokenizer = policy.tokenizer()
    grammar = PlanGrammar(tokenizer, menu(), MAX_STEPS)
    training = questions("train")
    composed = [place for place, task in enumerate(training) if task.difficulty == 2]
    alone = draw.sample([place for place, task in enumerate(training) if task.difficulty == 1], SHOWN)
    shown = [(place, at_random(grammar, tokenizer, Ask(training[place], pool()), draw)) for place in alone]
    found: list[tuple[int, str]] = []
    tried = 0
    with scorer() as run:
        while len(found) < 2 * FOUND:
            asks = [Ask(training[place], pool()) for place in composed]
            texts = [at_random(grammar, tokenizer, ask, draw, steps=2) for ask in asks]
            tried += len(texts)
            for place, text, scored in zip(composed, texts, run.run(asks, texts), strict=True):
                of_kind = Counter(training[known].domain for known, _ in found)[training[place].domain]
                if scored.episode.score == 1.0 and of_kind < FOUND:
                    found.append((place, text))
        held_out = [Ask(task, pool()) for task in questions("test")]
        singles = []
        for name in pool().names:
            text = Workflow((Step(name, ANSWER),)).to_text(pool())
            singles.append(_scores(run.run(held_out, [text] * len(held_out))))
    return Start((*shown, *found), tried, max(singles, key=fmean))


def at_random(grammar: PlanGrammar, tokenizer: Any, ask: Ask, draw: random.Random, steps: int = 0) -> str:
    """A plan of the grammar, each choice being drawn evenly; of so many steps, if that is wanted."""
    while True:
        tokens: list[int] = []
        while (token := draw.choice(grammar(ask).allowed(tokens))) != tokenizer.eos_token_id:
            tokens.append(token)
        text = tokenizer.decode(tokens)
        plan = parse_workflow(text, ask.pool, max_steps=MAX_STEPS)
        if not steps or len(plan.steps) == steps:
            return text


def learn(start: Start, seed: int, change: Change, steps: int, folder: Path) -> Run:
    """One run, in a process of its own."""
    import torch

    from langgraph_conductor.train.trainers.plain import PlainTrainer

    torch.set_num_threads(1)
    begun = time.perf_counter()
    tokenizer = policy.tokenizer()
    bound = change != "no grammar, huge steps"
    rate = {"policy frozen": 1e-12, "no grammar, huge steps": 3e-2}.get(change, IMPROVEMENT.learning_rate)
    improvement = IMPROVEMENT.model_copy(update={"steps": steps, "learning_rate": rate})
    epochs = (WARM_STEPS if bound else 200) * WARM_BATCH / len(start.plans)
    watch = _Watch()
    trainer = PlainTrainer(
        policy.model(seed, len(tokenizer)),
        tokenizer,
        policy.render,
        imitation=Imitation(epochs=epochs, batch=WARM_BATCH, learning_rate=WARM_RATE),
        improvement=improvement,
        seed=seed,
        constraint=PlanGrammar(tokenizer, menu(), MAX_STEPS) if bound else None,
        watch=watch,
        advantages=_negated if change == "advantages negated" else None,
    )
    training = questions("train")
    held_out = [Ask(task, pool()) for task in questions("test")]
    trainer.imitate(
        [Example(Ask(training[place], pool()), text) for place, text in start.plans], folder / "imitate"
    )
    with scorer() as run:

        def judged() -> tuple[float, ...]:
            texts = trainer.sample(held_out, temperature=1.0, max_tokens=IMPROVEMENT.max_tokens, seed=seed)
            return _scores(run.run(held_out, texts))

        before, ended = judged(), ""
        score = _shuffled(run.run, seed) if change == "rewards shuffled" else run.run
        try:
            trainer.improve(batches(training, pool(), improvement, seed=seed), score, folder / "improve")
        except TrainingCollapsedError as collapse:
            ended = str(collapse)
        after = judged()
    seconds = time.perf_counter() - begun
    return Run(seed, change, before, after, start.single, watch.readable, ended, seconds)


class _Watch:
    """The collapse detector, and the least share of readable plans."""

    def __init__(self) -> None:
        self.readable = 1.0
        self.detector = CollapseDetector()

    def __call__(self, step: Any) -> None:
        scored = [one for group in step.scored for one in group]
        self.readable = min(self.readable, fmean(one.episode.valid for one in scored))
        self.detector(step)


def _scores(scored: Sequence[Scored]) -> tuple[float, ...]:
    return tuple(float(one.episode.score or 0.0) for one in scored)


def _negated(group: Sequence[Ask], rewards: Sequence[float | None]) -> list[float]:
    return [-advantage for advantage in advantages(rewards)]


def _shuffled(score: Callable[..., list[Scored]], seed: int) -> Callable[..., list[Scored]]:
    """The same rewards in every group, dealt to its rollouts at random."""
    draw = random.Random(seed)

    def shuffled(asks: Sequence[Ask], texts: Sequence[str]) -> list[Scored]:
        scored = score(asks, texts)
        places: dict[str, list[int]] = {}
        for place, ask in enumerate(asks):
            places.setdefault(ask.task.id, []).append(place)
        for own in places.values():
            dealt = draw.sample([scored[place].reward for place in own], len(own))
            for place, reward in zip(own, dealt, strict=True):
                scored[place] = replace(scored[place], reward=reward)
        return scored

    return shuffled

"""A synthetic pool and strategies over the questions of the suite "skills", and how often each is right."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from statistics import fmean
from typing import Any

from langgraph_conductor import Worker, WorkerPool
from langgraph_conductor.evals.ceilings import candidate_workflows
from langgraph_conductor.evals.strategies import Strategy, majority
from langgraph_conductor.evals.suites import SPLITS, load_suite
from langgraph_conductor.planners import ChatPlanner, fixed
from langgraph_conductor.rewards import Task
from langgraph_conductor.testing import (
    ScriptedModel,
    SkilledModel,
    plan_text,
    skilled_planner,
    skilled_pool,
)
from tests.closed_forms import alone, by_experts, mixture, one_of, vote

VOTES = 3
VALID, OUTAGES = 0.7, 0.15
"""How often a plan can be used, and a provider is down."""

GROUPS: Mapping[str, Sequence[str]] = {
    "numbers": ("chain_sum", "gsm_symbolic", "simple_equations", "base_conversion", "calendar_arithmetic"),
    "words": ("letter_counting", "caesar_cipher", "spell_backward", "word_sorting"),
    "puzzles": ("bf", "knights_knaves", "shortest_path", "mini_sudoku", "arc_1d"),
}
STRENGTHS = {"ann": (0.9, 0.2, 0.2), "ben": (0.15, 0.9, 0.2), "eve": (0.6, 0.6, 0.85)}
"""Accuracy in each group."""

SKILLS = {
    worker: {s: p for p, skills in zip(strengths, GROUPS.values(), strict=True) for s in skills}
    for worker, strengths in STRENGTHS.items()
}
BEST = "eve"
REFERENCE = f"single({BEST})"
PRICE = {"input": 1, "output": 10}
NULLS = ("equal", "chain(ben, eve)")
"""As good as the reference by construction."""


class Unreliable(SkilledModel):
    """A synthetic worker whose provider is down at a known rate."""

    def _result(self, messages: list[Any], run: Any) -> Any:
        if random.Random(f"{self.seed}:{messages[-1].text}").random() < OUTAGES:
            raise ConnectionError("the provider is down")
        return super()._result(messages, run)


@cache
def all_tasks() -> tuple[Task, ...]:
    """The suite, with the group of its skills as a task's domain."""
    suite = load_suite("skills")
    group = {skill: name for name, skills in GROUPS.items() for skill in skills}

    def grouped(task: Task) -> Task:
        of = "composed" if len(task.skills) > 1 else group[task.skills[0]] if task.skills else task.domain
        return replace(task, domain=of)

    return tuple(grouped(task) for split in SPLITS for task in suite.tasks(split))


def chances(tasks: Iterable[Task]) -> dict[str, list[float]]:
    """By strategy, how likely each task is answered right."""
    found: dict[str, list[float]] = {}
    for task in tasks:
        own = {worker: alone(SKILLS, worker, task) for worker in SKILLS}
        best = own[BEST]
        of = {
            **{f"single({worker})": p for worker, p in own.items()},
            "random router": fmean(own.values()),
            "majority": vote(best, VOTES),
            "mixture": mixture([*own.values()], best),
            "chain(ben, eve)": best,
            "better": by_experts(SKILLS, task),
            "equal": best,
            "worse": min(own.values()),
            "sometimes valid": VALID * own["ben"] + (1 - VALID) * own["ann"],
            "outages": best,
            "worker oracle": one_of(*own.values()),
        }
        for name, p in of.items():
            found.setdefault(name, []).append(p)
    return found


def strategies(seed: int, tasks: Sequence[Task]) -> list[Strategy]:
    """What is run, named as in `chances`."""
    pool = skilled_pool(tasks, SKILLS, seed, prices=dict.fromkeys(SKILLS, PRICE))
    known = pool[BEST].runnable.tasks
    down = Unreliable(worker="down", seed=seed, skills=SKILLS[BEST], tasks=known)

    def plan(messages: list[Any]) -> str:
        valid = random.Random(f"plan {seed}:{messages[1].text}").random() < VALID
        return plan_text(("ben", "Answer as well as you can.", [])) if valid else "Let me think."

    chain = dict(candidate_workflows(pool))["chain(ben, eve)"]
    made = [
        *(Strategy(f"single({name})", "single", fixed.single(name), pool) for name in SKILLS),
        Strategy("random router", "floor", fixed.random_router(seed), pool),
        replace(majority(VOTES, BEST, pool), name="majority"),
        Strategy("mixture", "fixed", fixed.mixture_of_agents(list(SKILLS), 1, BEST), pool),
        Strategy("chain(ben, eve)", "fixed", fixed.workflow(chain), pool),
        Strategy("sometimes valid", "planner", ChatPlanner(ScriptedModel(replies=plan), price=PRICE), pool),
        Strategy("outages", "fixed", fixed.single("down"), WorkerPool([Worker("down", down, retries=0)])),
    ]
    for worth in ("better", "equal", "worse"):
        made.append(Strategy(worth, "planner", skilled_planner(all_tasks(), SKILLS, worth), pool))
    return made

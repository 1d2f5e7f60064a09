"""Evaluations made by hand, with known answers."""

from decimal import Decimal
from typing import Any

from langgraph_conductor import Usage
from langgraph_conductor.episodes import Episode
from langgraph_conductor.evals.results import Evaluation, Outcome
from langgraph_conductor.rewards import Task

DOMAINS = ("algebra", "dates", "logic")


def tasks(n: int) -> tuple[Task, ...]:
    return tuple(
        Task(f"What is {i}?", str(i), "exact", domain=DOMAINS[i % 3], difficulty=1 + i % 2)
        for i in range(n)
    )


def usage(calls: int = 1, tokens: int = 100, usd: str | None = "0.01") -> Usage:
    price = {"unpriced_calls": calls} if usd is None else {"usd": Decimal(usd)}
    return Usage(calls=calls, input_tokens=tokens - tokens // 4, output_tokens=tokens // 4, **price)


def step(index: int, worker: str, granted: list[list[int]] | None = None, **changes: Any) -> dict[str, Any]:
    own = {
        "worker": worker,
        "subtask": f"Do part {index}.",
        "text": f"part {index}",
        "status": "ok",
        "error": None,
    }
    kept = {
        "index": index,
        "granted": granted or [],
        "answered_by": worker,
        "calls": 1,
        "usage": usage().to_json(),
    }
    return {**own, **kept, "model_calls": [], "started_at": 0.0, "seconds": 1.0, **changes}


def a_round(
    number: int, *workers: str, accepted: bool = False, reached: str = "unaided", **changes: Any
) -> dict[str, Any]:
    """A chain of steps."""
    flow = [
        {"worker": w, "subtask": f"Do part {i}.", "access": [i - 1] if i else []}
        for i, w in enumerate(workers)
    ]
    plan = {
        "reached": reached,
        "text": "I plan.",
        "attempts": [],
        "error": None,
        "usage": usage().to_json(),
    }
    return {
        "round": number,
        "accepted": accepted,
        "workflow": {"steps": flow} if workers else None,
        "plan": {**plan, "model_calls": [], "seconds": 0.5},
        "steps": [step(i, w, [[number, i - 1]] if i else []) for i, w in enumerate(workers)],
        "answer": "part",
        "final": True,
        "wall_seconds": 1.0,
        **changes,
    }


def episode(task: Task, score: float | None, **changes: Any) -> Episode:
    changes.setdefault("rounds", (a_round(0, "coder"),))
    changes.setdefault("planner", usage(1, 40, "0.001"))
    changes.setdefault("workers", usage(2, 200, "0.02"))
    answer = task.answer if score else "wrong"
    reached = changes.pop("reached", "unaided")
    return Episode(
        task.id, changes.pop("answer", answer), score, changes.pop("valid", True), reached, **changes
    )


def outcome(name: str, kind: str, asked: tuple[Task, ...], scores: Any, **changes: Any) -> Outcome:
    """`scores`: for each task a score, or a list of them for several samples."""
    episodes = {
        task.id: tuple(
            episode(task, one, seed=i, **changes)
            for i, one in enumerate(score if isinstance(score, list) else [score])
        )
        for task, score in zip(asked, scores, strict=True)
    }
    return Outcome(name, kind, episodes)


def evaluation(asked: tuple[Task, ...], *outcomes: Outcome, **changes: Any) -> Evaluation:
    return Evaluation("arithmetic", "test", asked, outcomes, **changes)

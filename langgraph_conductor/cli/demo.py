"""`langgraph-conductor demo`: a trained conductor and its specialists answer composed questions, offline."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from langgraph_conductor import WorkerPool, create_conductor, local, run_episode
from langgraph_conductor.display import describe
from langgraph_conductor.display.words import short
from langgraph_conductor.planners import fixed
from langgraph_conductor.rewards import Task, grade

COMPOSED: Final = Task(
    "Write as digits, then sort from small to large: sixty-one, nineteen, forty-two", "19, 42, 61", "exact"
)
"""What no worker can answer alone."""

QUESTIONS: Final = (
    COMPOSED,
    Task("Mia has 12 boxes of 9 pens and 25 more pens. How many in all?", "133", "number"),
    Task("Reverse the order, then take the first letters: river, apple, stone", "s, a, r", "exact"),
    Task("How much is eighty-four minus seventeen?", "67", "number"),
    Task("Compute (57 + 31) * 24.", "2112", "number"),
    Task("What is the capital of Norway? Say it in a sentence.", "The capital of Norway is Oslo.", "exact"),
)

Say = Callable[[str], Any]


def run(say: Say) -> bool:
    """Answer every question, showing each step, and check the answers.

    Args:
        say: Prints one text.

    Returns:
        Whether every answer was right.
    """
    say("Loading SmolLM2 with 135 million parameters, five specialists and a conductor of it.")
    pool, planner = local.workers(), local.planner()
    conductor = create_conductor(planner, pool, max_steps=3)
    reached: Counter[str] = Counter()
    right = 0
    for task in QUESTIONS:
        result = conductor.invoke({"messages": [{"role": "user", "content": task.question}]})
        good = grade(result["answer"], task) == 1
        say(
            f"\n{_LINE}\nquestion: {task.question}\n\n{describe(result)}\ncheck: {'right' if good else 'WRONG'}"
        )
        reached[result["rounds"][0]["plan"]["reached"]] += 1
        right += good
    say(f"\n{_LINE}\nthe first question, to each worker alone:")
    for name in pool.names:
        say(f"  {name}: {_alone(name, pool)}")
    say(f"\n{_LINE}\nplans that ran: {_counted(reached)}\nright answers:  {right} of {len(QUESTIONS)}")
    return right == len(QUESTIONS)


_LINE: Final = "=" * 72


def _alone(name: str, pool: WorkerPool) -> str:
    episode = asyncio.run(run_episode(COMPOSED, fixed.single(name), pool))
    verdict = "right" if episode.score else "wrong"
    return f"{short(episode.answer, 60)!r}, {verdict}" if episode.answer else "cannot"


def _counted(reached: Counter[str]) -> str:
    words = {"unaided": "unaided", "repair": "by repair", "fallback": "by fallback"}
    return ", ".join(f"{reached[key]} {word}" for key, word in words.items())

"""How well the embedded conductor plans, served as shipped: test questions, most of them worded as in training.

The sampling is greedy, but small changes of the machine can change single plans.
"""

import asyncio
from collections import Counter

from langgraph_conductor import local, run_episode
from langgraph_conductor.evals.suites.tiny import tiny_suite
from langgraph_conductor.evals.suites.tiny_questions import parts_of

QUESTIONS = 40


async def main() -> bool:
    """Report; there is no limit to keep."""
    pool, planner = local.workers(), local.planner()
    tasks = [task for task in tiny_suite().tasks("test") if parts_of(task)][:QUESTIONS]
    composed = sum(len(task.skills) > 1 for task in tasks)
    print(f"embedded conductor: {len(tasks)} test questions, {composed} of them composed")
    found: Counter[str] = Counter()
    for task in tasks:
        episode = await run_episode(task, planner, pool, max_steps=3)
        steps = [step["worker"] for record in episode.rounds for step in record["steps"]]
        found["plans at once valid"] += episode.reached == "unaided"
        found["right workers in the right order"] += steps == [part.skill for part in parts_of(task)]
        found["right answers"] += episode.score == 1
    for what, count in found.items():
        print(f"  {what}: {count} of {len(tasks)}")
    return True


if __name__ == "__main__":
    raise SystemExit(0 if asyncio.run(main()) else 1)

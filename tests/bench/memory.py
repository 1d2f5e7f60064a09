"""Growth of the process over 1,000 runs whose workflows keep changing shape."""

import asyncio
import gc
import random
import statistics

import psutil

from langgraph_conductor import Step, Worker, Workflow, create_conductor
from langgraph_conductor.planners.fixed import FixedPlanner
from langgraph_conductor.testing import ScriptedModel

RUNS, LIMIT = 1000, 1024


def random_plan(draw: random.Random) -> Workflow:
    """So many shapes that nearly every run compiles one: the 256 graphs that are kept are soon full."""
    return Workflow(
        tuple(
            Step(
                f"w{draw.randrange(5)}", f"Do part {i}.", tuple(j for j in range(i) if draw.random() < 0.5)
            )
            for i in range(draw.randint(2, 5))
        )
    )


async def main() -> bool:
    draw = random.Random(3)
    model = ScriptedModel(replies=["done"])
    workers = [Worker(f"w{i}", model) for i in range(5)]
    conductor = create_conductor(FixedPlanner(lambda _: random_plan(draw)), workers)
    process = psutil.Process()
    sizes = []
    for number in range(RUNS):
        await conductor.ainvoke({"messages": [{"role": "user", "content": "What is it?"}]})
        model.calls.clear()
        if number % 10 == 0:
            gc.collect()
        sizes.append(process.memory_info().rss)
    last = sizes[RUNS // 2 :]
    slope, _ = statistics.linear_regression(range(len(last)), last)
    print(f"memory: RSS {sizes[0] / 1e6:.0f} -> {sizes[-1] / 1e6:.0f} MB over {RUNS} runs, "
          f"slope of the last {len(last)}: {slope:.0f} bytes a run  (limit {LIMIT})")  # fmt: skip
    return slope < LIMIT


if __name__ == "__main__":
    raise SystemExit(0 if asyncio.run(main()) else 1)

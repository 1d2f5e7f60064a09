"""Episodes: 500 at once over workers of 0.2 s under a cap of 32 calls; read again from the store; what the store costs.

Ideal is the cap divided by the latency. Steady state is the middle 60 % of the calls, by the moment each
began. "Again" is the same evaluation once more, which reads whole runs; "other plan" is another strategy that
asks the workers the same, which goes through the engine and reads their replies.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from langgraph_conductor import Worker, WorkerPool, run_episode
from langgraph_conductor.replay import ReplyStore
from langgraph_conductor.rewards import Task
from langgraph_conductor.testing import ScriptedModel, plan_text
from langgraph_conductor.workers import Limiter

EPISODES, CAP, LATENCY = 500, 32, 0.2
PLAN = plan_text(("a", "Draft.", []), ("b", "Draft otherwise.", []), ("c", "Join.", [0, 1]))
TASKS = [Task(f"What is {n} plus 1?", str(n + 1), "number") for n in range(EPISODES)]
STEPS = 3


def pool(latency: float, began: list[float]) -> WorkerPool:
    def answer(messages: list) -> str:
        began.append(time.perf_counter())
        return "1"

    shared = Limiter(max_concurrency=CAP)
    models = {name: ScriptedModel(replies=answer, latency=latency) for name in "abc"}
    return WorkerPool([Worker(name, model, limiter=shared) for name, model in models.items()])


async def seconds(workers: WorkerPool, text: str, store: ReplyStore | None, tasks: list[Task]) -> float:
    begin = time.perf_counter()
    episodes = await asyncio.gather(*(run_episode(task, text, workers, store=store) for task in tasks))
    assert all(len(episode.rounds[0]["steps"]) == STEPS for episode in episodes)
    return time.perf_counter() - begin


async def throughput(folder: Path) -> tuple[float, float, float]:
    """Steady state over ideal; how many times faster the same is again; and another plan of the same steps."""
    began: list[float] = []
    workers = pool(LATENCY, began)
    await run_episode(TASKS[0], PLAN, workers)  # imported, compiled
    began.clear()
    with ReplyStore(folder / "throughput.sqlite") as store:
        live = await seconds(workers, PLAN, store, TASKS)
        calls = sorted(began)
        again = await seconds(workers, PLAN, store, TASKS)
        other = await seconds(workers, f"{PLAN}\n", store, TASKS)
    assert len(calls) == len(began) == STEPS * EPISODES
    middle = calls[len(calls) // 5 : -len(calls) // 5]
    rate = (len(middle) - 1) / (middle[-1] - middle[0])
    return rate / (CAP / LATENCY), live / again, live / other


async def overhead(folder: Path) -> float:
    """Milliseconds the store adds to a call: the median over pairs of runs with and without one."""
    workers, added = pool(0.0, []), []
    for n in range(9):
        tasks = TASKS[n * 20 : n * 20 + 20]
        with ReplyStore(folder / f"overhead{n}.sqlite") as store:
            without = await seconds(workers, PLAN, None, tasks)
            kept = await seconds(workers, PLAN, store, tasks)
        added.append(1000 * (kept - without) / (STEPS * len(tasks)))
    return statistics.median(added)


async def main() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        rate, again, other = await throughput(Path(folder))
        added = await overhead(Path(folder))
    print(f"episodes: {EPISODES} at once of 3 steps, workers of {LATENCY} s, {CAP} calls at once")
    print(f"  steady state over ideal ({CAP / LATENCY:.0f} calls/s): {rate:.3f}  (limit 0.95)")
    print(f"  the same evaluation again, from the store: {again:.0f} x faster  (limit 20)")
    print(f"  another strategy whose replies are all in the store: {other:.1f} x faster")
    print(f"  the store adds {added:.2f} ms to a call  (limit 2)")
    return rate >= 0.95 and again >= 20 and added < 2


if __name__ == "__main__":
    raise SystemExit(0 if asyncio.run(main()) else 1)

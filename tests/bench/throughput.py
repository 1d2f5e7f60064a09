"""Throughput under a cap: 200 runs of three-step plans at once, all workers sharing one limiter.

Ideal is the cap divided by the latency. Steady state is the middle 60 % of the calls, by the moment each
began, so that neither ramp nor tail counts. Over loopback HTTP the double, which shares the two cores, is
part of what is measured.
"""

import asyncio
import time
from contextlib import ExitStack

from langgraph_conductor import Worker, create_conductor
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import FakeProviders, ScriptedModel
from langgraph_conductor.workers import Limiter, chat_model
from tests.helpers import ask, flow

RUNS, CAP, LATENCY = 200, 32, 0.2
PLAN = flow(("a", "Draft.", []), ("b", "Draft otherwise.", []), ("c", "Join.", [0, 1]))


async def rate(models: dict, began: list[float]) -> float:
    """Calls a second in steady state."""
    shared = Limiter(max_concurrency=CAP)
    conductor = create_conductor(
        fixed.workflow(PLAN), [Worker(name, model, limiter=shared) for name, model in models.items()]
    )
    await conductor.ainvoke(ask())  # compiled, imported, connected
    began.clear()
    results = await asyncio.gather(*(conductor.ainvoke(ask()) for _ in range(RUNS)))
    assert all(result["answer"] for result in results)
    times = sorted(began)
    assert len(times) == 3 * RUNS
    middle = times[len(times) // 5 : -len(times) // 5]
    return (len(middle) - 1) / (middle[-1] - middle[0])


async def in_process() -> float:
    began: list[float] = []

    def note(messages: list) -> str:
        began.append(time.perf_counter())
        return "ok"

    return await rate({name: ScriptedModel(replies=note, latency=LATENCY) for name in "abc"}, began)


async def over_http() -> float:
    began: list[float] = []

    def note(request: object) -> str:
        began.append(time.perf_counter())
        return "ok"

    with ExitStack() as stack:
        providers = stack.enter_context(FakeProviders(note, latency=LATENCY))
        return await rate(
            {name: chat_model(f"vllm:{name}@{providers.openai_url}") for name in "abc"}, began
        )


async def main() -> bool:
    ideal = CAP / LATENCY
    own = await in_process() / ideal
    http = await over_http() / ideal
    print(f"throughput: {RUNS} runs of 3 steps at once, models of {LATENCY} s, {CAP} calls at once")
    print(f"  steady state over ideal ({ideal:.0f} calls/s): {own:.3f}  (limit 0.95)")
    print(f"  the same over loopback HTTP: {http:.3f}")
    return own >= 0.95


if __name__ == "__main__":
    raise SystemExit(0 if asyncio.run(main()) else 1)

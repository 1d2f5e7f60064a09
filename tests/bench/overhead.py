"""Time of a run-time compiled, cached workflow over a hand-built static LangGraph of the same shape.

Both run as a node of a parent graph, with the same fake chat models and the same prompts. Ours has
everything on: scoping, records, usage, events. Prints medians of interleaved runs.
"""

import asyncio
import statistics
import time
from typing import Any, TypedDict

from langchain_core.messages import HumanMessage
from langgraph.graph import START, StateGraph

from langgraph_conductor import Step, Worker, WorkerPool, Workflow
from langgraph_conductor.graph.compiler import WorkflowGraphs, shape_of
from langgraph_conductor.graph.run_context import RunContext, handed_down
from langgraph_conductor.graph.workflow_node import WorkflowNode
from langgraph_conductor.prompts import worker_prompt
from langgraph_conductor.records import StepOutput
from langgraph_conductor.state import RoundState
from langgraph_conductor.testing import ScriptedModel

QUESTION = [{"type": "text", "text": "What is the height of the tower?"}]


def workflow(size: int) -> Workflow:
    steps = [Step(f"w{i}", f"Do part {i}.", tuple(range(i)) if i >= size - 1 else ()) for i in range(size)]
    return Workflow(tuple(steps))


def ours(plan: Workflow, models: list[ScriptedModel]) -> Any:
    pool = WorkerPool([Worker(f"w{i}", model) for i, model in enumerate(models)])
    builder = StateGraph(RoundState)
    builder.add_node("workflow", WorkflowNode(WorkflowGraphs(pool)))
    builder.add_edge(START, "workflow")
    return builder.compile()


def static(plan: Workflow, models: list[ScriptedModel]) -> Any:
    """What a LangGraph user would write by hand for this one plan."""
    outs = {f"out_{i}": str for i in range(len(plan.steps))}
    state = TypedDict("S", {"question": list, **outs}, total=False)
    inner = StateGraph(state)
    for i in range(len(plan.steps)):
        inner.add_node(f"step_{i}", hand_written(i, plan, models[i]))
        inner.add_edge([f"step_{j}" for j in plan.reads(i)] or START, f"step_{i}")
    builder = StateGraph(state)
    builder.add_node("workflow", inner.compile())
    builder.add_edge(START, "workflow")
    return builder.compile()


def hand_written(i: int, plan: Workflow, model: ScriptedModel) -> Any:
    def prompt(state: dict[str, Any]) -> list[HumanMessage]:
        inputs = [
            StepOutput(j, plan.steps[j].worker, plan.steps[j].subtask, state[f"out_{j}"])
            for j in plan.reads(i)
        ]
        last = i == len(plan.steps) - 1
        return [
            HumanMessage(worker_prompt(state["question"], plan.steps[i].subtask, inputs, is_final=last))
        ]

    async def node(state: dict[str, Any]) -> dict[str, Any]:
        return {f"out_{i}": (await model.ainvoke(prompt(state))).text}

    return node


async def timed(graph: Any, given: dict[str, Any]) -> float:
    begin = time.perf_counter()
    await graph.ainvoke(given)
    return time.perf_counter() - begin


async def ratio(size: int, latency: float, runs: int) -> float:
    plan = workflow(size)
    # Without `disable_streaming` LangChain asks each callback handler, ours too, whether it wants a stream, at
    # every call of a model: before Python 3.12 that takes as long as a twentieth of an empty step.
    said: dict[str, Any] = {"replies": ["The tower is tall."], "disable_streaming": True}
    models = [ScriptedModel(**said, latency=latency) for _ in range(size)]
    mine, hand = ours(plan, models), static(plan, models)
    given = {"workflow": plan.to_json(), "plan": {}, "round": 0}
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(runs + 5):
        for kind, graph in enumerate((mine, hand) if number % 2 else (hand, mine)):
            kind = kind if number % 2 else 1 - kind
            with handed_down(RunContext(QUESTION)):
                took = await timed(graph, given if kind == 0 else {"question": QUESTION})
            if number >= 5:
                times[kind].append(took)
        for model in models:
            model.calls.clear()
    return statistics.median(times[0]) / statistics.median(times[1])


def compile_seconds(size: int) -> float:
    plan = workflow(size)
    pool = WorkerPool([Worker(f"w{i}", ScriptedModel()) for i in range(size)])
    took: list[float] = []
    for _ in range(20):
        graphs = WorkflowGraphs(pool)
        begin = time.perf_counter()
        graphs.get(shape_of(plan))
        took.append(time.perf_counter() - begin)
    return statistics.median(took)


async def main() -> bool:
    print("overhead: run-time workflow / hand-built static graph (medians, one process)")
    good = True
    for latency, runs, limit in ((0.0, 150, 1.5), (0.1, 8, 1.02)):
        for size in range(1, 6):
            value = await ratio(size, latency, runs)
            good &= value <= limit
            print(f"  {latency * 1000:3.0f} ms workers, {size} steps: {value:.3f}  (limit {limit})")
    for size in (1, 3, 5):
        print(
            f"  compile on a cache miss, {size} steps: {compile_seconds(size) / size * 1000:.2f} ms a step"
        )
    return good


if __name__ == "__main__":
    raise SystemExit(0 if asyncio.run(main()) else 1)

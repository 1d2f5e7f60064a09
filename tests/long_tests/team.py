"""A conductor with workers of every form, two rounds and parallel steps, whose calls are written down."""

import re
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import StructuredTool
from langgraph.graph import START, MessagesState, StateGraph

from langgraph_conductor import (
    Plan,
    PlanRequest,
    Step,
    Worker,
    WorkerTask,
    Workflow,
    add_conductor,
    create_conductor,
)
from langgraph_conductor.testing import ScriptedModel
from tests.long_tests.calls import Call, Calls, said

PLANNER, INNER_PLANNER, FUNCTION, MODEL, TOOL = "planner", "inner planner", "function", "model", "tool"
RUNNABLE, AGENT, AGENT_AGAIN, INNER = "runnable", "agent", "agent again", "inner"

ROUNDS = (
    (
        (FUNCTION, ()), (AGENT, ()), (INNER, ()),  # at once
        (MODEL, (0,)), (RUNNABLE, (1, 2)),  # at once
        (FUNCTION, "all"),
    ),
    ((MODEL, ()), (FUNCTION, ()), (AGENT, (0, 1))),
)  # fmt: skip
"""Workers and access of every step, by round."""

_LAST = {AGENT: AGENT_AGAIN}
TEXTS = [
    [said(Call(_LAST.get(worker, worker), number, index)) for index, (worker, _) in enumerate(steps)]
    for number, steps in enumerate(ROUNDS)
]
"""What the steps of a whole run say."""

_PLACE = re.compile(r"Do step (\d+)\.(\d+)\.")


def place(text: str) -> tuple[int, int]:
    """Round and step of the last subtask in a text."""
    number, index = _PLACE.findall(text)[-1]
    return int(number), int(index)


class LoggedModel(ScriptedModel):
    """A chat model whose calls are made by `Calls`; with tools, it asks for the tool first."""

    who: str
    made_by: Any

    def bind_tools(self, tools: Any, **_: Any) -> "LoggedModel":
        return self

    def _call(self, messages: list[BaseMessage]) -> tuple[str, int, int]:
        asked = next(message.text for message in messages if message.type == "human")
        again = messages[-1].type == "tool"
        return (AGENT_AGAIN if again else self.who, *place(asked))

    def _said(self, call: tuple[str, int, int], text: str) -> ChatResult:
        used = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        wanted = {"name": "look", "args": {"number": call[1], "index": call[2]}, "id": "1"}
        message = AIMessage(text, usage_metadata=used, tool_calls=[wanted] if call[0] == AGENT else [])
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
        call = self._call(messages)
        return self._said(call, self.made_by.make(*call))

    async def _agenerate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **_: Any
    ) -> ChatResult:
        call = self._call(messages)
        return self._said(call, await self.made_by.amake(*call))


class LoggedPlanner:
    """Plans `ROUNDS`."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls

    def plan(self, request: PlanRequest) -> Plan:
        number = len(request.rounds)
        return self._plan(number, self.calls.make(PLANNER, number, -1))

    async def aplan(self, request: PlanRequest) -> Plan:
        number = len(request.rounds)
        return self._plan(number, await self.calls.amake(PLANNER, number, -1))

    def _plan(self, number: int, text: str) -> Plan:
        steps = (
            Step(worker, f"Do step {number}.{index}.", access)
            for index, (worker, access) in enumerate(ROUNDS[number])
        )
        return Plan(Workflow(tuple(steps)), text=text)


class InnerPlanner:
    """Plans one step for the conductor that is a worker."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls

    def plan(self, request: PlanRequest) -> Plan:
        where = place(request.question[0]["text"])
        return self._plan(where, self.calls.make(INNER_PLANNER, *where))

    async def aplan(self, request: PlanRequest) -> Plan:
        where = place(request.question[0]["text"])
        return self._plan(where, await self.calls.amake(INNER_PLANNER, *where))

    def _plan(self, where: tuple[int, int], text: str) -> Plan:
        return Plan(Workflow((Step(INNER, f"Do step {where[0]}.{where[1]}."),)), text=text)


def workers(calls: Calls, *, awaited: bool) -> list[Worker]:
    """A worker of every form; awaited, the function is an async one.

    Args:
        calls: Makes their calls.
        awaited: Whether the run is.
    """

    def function(who: str) -> Any:
        def blocking(task: WorkerTask) -> str:
            return calls.make(who, *place(task.subtask))

        async def asynchronous(task: WorkerTask) -> str:
            return await calls.amake(who, *place(task.subtask))

        return asynchronous if awaited else blocking

    def run(messages: list[BaseMessage]) -> str:
        return calls.make(RUNNABLE, *place(messages[-1].text))

    async def arun(messages: list[BaseMessage]) -> str:
        return await calls.amake(RUNNABLE, *place(messages[-1].text))

    def look(number: int, index: int) -> str:
        return calls.make(TOOL, number, index)

    async def alook(number: int, index: int) -> str:
        return await calls.amake(TOOL, number, index)

    tool = StructuredTool.from_function(look, alook, name="look", description="Looks.")
    agent = create_agent(LoggedModel(who=AGENT, made_by=calls), [tool])
    inner = create_conductor(InnerPlanner(calls), [Worker(INNER, function(INNER))], name=INNER)
    return [
        Worker(FUNCTION, function(FUNCTION)),
        Worker(MODEL, LoggedModel(who=MODEL, made_by=calls)),
        Worker(RUNNABLE, RunnableLambda(run, arun)),
        Worker(AGENT, agent),
        Worker(INNER, inner),
    ]


def conductor(calls: Calls, saver: Any, *, awaited: bool, added: bool = False) -> Any:
    """The conductor, or a graph that it was added to."""
    team = workers(calls, awaited=awaited)
    if not added:
        return create_conductor(LoggedPlanner(calls), team, max_rounds=len(ROUNDS), checkpointer=saver)
    builder = StateGraph(MessagesState)
    add_conductor(builder, LoggedPlanner(calls), team, max_rounds=len(ROUNDS))
    builder.add_edge(START, "conductor")
    return builder.compile(checkpointer=saver)


def rounds_of(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The rounds of a result, of either kind of graph."""
    return result.get("rounds") or result.get("conductor_rounds") or []

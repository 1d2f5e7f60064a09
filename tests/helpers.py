"""Small builders the tests share."""

import os
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from typing import Any
from weakref import WeakKeyDictionary

from langchain_core.messages import AIMessage

from langgraph_conductor import PlanRequest, Step, WorkerPool, WorkerTask, Workflow
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import ScriptedModel


def ask(text: str = "What is it?") -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def question(text: str = "What is it?") -> tuple[dict[str, Any], ...]:
    return ({"type": "text", "text": text},)


def thread(name: str = "t", **options: Any) -> dict[str, Any]:
    configurable: dict[str, Any] = {"thread_id": name}
    if options:
        configurable["conductor"] = options
    return {"configurable": configurable}


def flow(*steps: tuple[str, str, Any]) -> Workflow:
    return Workflow(tuple(Step(*step) for step in steps))


def request(pool: Any, **changes: Any) -> PlanRequest:
    return PlanRequest(changes.pop("question", question()), WorkerPool(pool), **changes)


class Recorder:
    """A function worker that remembers its tasks and answers with its name and count."""

    def __init__(self, name: str = "r", reply: Any = None) -> None:
        self.name, self.reply, self.tasks = name, reply, []

    def __call__(self, task: WorkerTask) -> str:
        self.tasks.append(task)
        if isinstance(self.reply, BaseException):
            raise self.reply
        if callable(self.reply):
            return self.reply(task)
        return self.reply or f"{self.name}-{task.round}-{task.index}"


_requests: WeakKeyDictionary[Any, list[PlanRequest]] = WeakKeyDictionary()


class ScriptedPlanner:
    """A planner that gives prepared plans (or raises prepared errors) and remembers its requests."""

    def __init__(self, *plans: Any) -> None:
        self.plans = list(plans)
        _requests[self] = []

    @property
    def requests(self) -> list[PlanRequest]:
        """Kept beside it: what a planner holds is looked through for keys in every round."""
        return _requests[self]

    def plan(self, asked: PlanRequest) -> Any:
        from langgraph_conductor import ACCEPT, Plan

        self.requests.append(asked)
        plan = self.plans[min(len(self.requests), len(self.plans)) - 1]
        if isinstance(plan, BaseException):
            raise plan
        return Plan(plan) if isinstance(plan, Workflow) or plan is ACCEPT else plan

    async def aplan(self, asked: PlanRequest) -> Any:
        return self.plan(asked)


PRICE = {"input": 1, "output": 1_000_000}  # a dollar a word


def chat(*replies, max_tokens=10, **options):
    return ScriptedModel(replies=list(replies) or ["ok"], max_tokens=max_tokens, **options)


def chain(*names):
    return fixed.workflow(flow(*((n, f"Do {i}.", [i - 1] if i else []) for i, n in enumerate(names))))


def beside(*names):
    return fixed.workflow(flow(*((n, f"Do {i}.", []) for i, n in enumerate(names))))


def called(*models):
    return sum(len(model.calls) for model in models)


def tool_call(number):
    return AIMessage("", tool_calls=[{"name": "look", "args": {}, "id": str(number)}])


class Tooled(ScriptedModel):
    def bind_tools(self, tools, **kwargs):
        return self


def printed_under_two_hash_seeds(script: str) -> set[str]:
    """What this process and a fresh one print that differ in their hash seeds."""
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    fresh = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed, "PATH": ""},
    )  # fmt: skip
    with redirect_stdout(StringIO()) as here:
        exec(script, {"__name__": "__main__"})
    return {here.getvalue(), fresh.stdout}

"""The embedded pool: one small model, and two workers that do exactly what it would guess at.

The planner is the same 135-million-parameter model, bound to a JSON schema. It was measured on 30
questions near in kind to its examples (10 arithmetic, 10 on words, 10 general): every plan valid, the
right worker in 27. It plans single steps only; workflows of more steps need a better planner or a
hand-written strategy.
"""

import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from langgraph_conductor.errors import LocalModelError
from langgraph_conductor.local.calculator import calculate, find_expression
from langgraph_conductor.local.server import LocalServer, serve
from langgraph_conductor.local.weights import smollm2_path
from langgraph_conductor.local.wordsmith import transform
from langgraph_conductor.planners import ChatPlanner, PlanRequest
from langgraph_conductor.prompts import text_of, with_attachments
from langgraph_conductor.records import WorkerTask
from langgraph_conductor.workers import Worker, WorkerPool

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

_PLANNER_TASK: Final = """\
You plan how to answer a question. You do not answer it. Reply with JSON only: a list of steps, each \
with a worker, a subtask and an access list.
Workers:
"""
_WORKER_TASK: Final = "Answer briefly in English."

# (question, thought, worker, subtask if it is not the question): as turns of a chat, since the model
# copies the turn that is most like the question. Their order matters more than anything else here.
_TURNS: Final = (
    ("What is 1234 * 5678?", "numbers", "calculator", ""),
    ("Sort these words: plum, apple, grape", "words", "wordsmith", ""),
    ("What is the capital of France?", "facts", "smollm2", ""),
    ("Reverse the word 'table'.", "words", "wordsmith", ""),
    ("How much is 300 minus 77?", "numbers", "calculator", ""),
    ("What do cows eat?", "facts", "smollm2", ""),
    ("Count the words in: we went home early", "words", "wordsmith", ""),
    ("Add 45 and 67.", "numbers", "calculator", "45 + 67"),
    ("Who discovered penicillin?", "facts", "smollm2", ""),
    ("How many letters are in the word 'window'?", "words", "wordsmith", ""),
    ("Compute 15% of 240 and then write one sentence with the result.", "numbers and facts", "", ""),
    ("Spell 'river' backwards.", "words", "wordsmith", ""),
    ("What is 40% of 65?", "numbers", "calculator", ""),
    ("Tell me a joke about cats.", "facts", "smollm2", ""),
    ("What are the first letters of: big old house", "words", "wordsmith", ""),
    ("What is (9 + 3) / 4?", "numbers", "calculator", "(9 + 3) / 4"),
    ("Name a city in Spain.", "facts", "smollm2", ""),
    ("Make 'Green Tea' lower case.", "words", "wordsmith", ""),
    ("Put these words in alphabetical order: sun, moon, star", "words", "wordsmith", ""),
    ("Explain why leaves are green.", "facts", "smollm2", ""),
    ("Write 'silent night' in capital letters.", "words", "wordsmith", ""),
)


_ONE_AFTER_THE_OTHER: Final[tuple[tuple[str, str, list[str]], ...]] = (
    ("calculator", "Compute 15% of 240", []),
    ("smollm2", "Write one sentence with the result.", ["all"]),
)


class EmbeddedPlanner(ChatPlanner):
    """A `ChatPlanner` whose prompt is cut to what a very small model can follow."""

    def render(self, request: PlanRequest) -> list[BaseMessage]:
        """The workers, worked questions as turns of a chat, then the question."""
        lines = [f"{worker.name}: {worker.description}" for worker in request.pool]
        messages: list[BaseMessage] = [SystemMessage(_PLANNER_TASK + "\n".join(lines))]
        for question, thought, worker, subtask in _TURNS:
            plan = _ONE_AFTER_THE_OTHER if not worker else ((worker, subtask or question, []),)
            if len(plan) <= request.max_steps and all(name in request.pool.names for name, _, _ in plan):
                messages += [HumanMessage(question), AIMessage(_shown(thought, plan))]
        text = _asked(text_of(request.question))
        return [*messages, HumanMessage(with_attachments(text, request.question))]


def model(*, max_tokens: int = 256) -> "ChatOpenAI":
    """SmolLM2-135M, served on loopback by this process and called like any OpenAI-compatible model.

    Args:
        max_tokens: Most tokens of one reply.

    Raises:
        LocalModelError: If the weights or a package are missing; the message says what to do.
    """
    try:
        from langchain_openai import ChatOpenAI
    except ImportError as error:
        install = "The embedded model needs langchain-openai: pip install 'langgraph-conductor[local]'"
        raise LocalModelError(install) from error
    return ChatOpenAI(
        base_url=_served().url,
        api_key="none",  # type: ignore[arg-type]  # the server asks for none
        model="smollm2-135m",
        temperature=0,
        max_completion_tokens=max_tokens,
        max_retries=0,
        timeout=300,
        profile={"structured_output": True},
    )


@cache
def _served() -> LocalServer:
    # Once a process: finding the weights reads and hashes all 98 MB of them.
    return serve(smollm2_path(), slots=4, context=4096)


def planner(*, structured: bool = True) -> EmbeddedPlanner:
    """The embedded planner.

    Args:
        structured: Whether it is bound to a JSON schema; without, it has to find the form itself.

    Raises:
        LocalModelError: See `model`.
    """
    return EmbeddedPlanner(model(), structured=structured, max_subtask_chars=120)


def workers() -> WorkerPool:
    """The embedded workers: `calculator`, `wordsmith` and `smollm2`.

    Raises:
        LocalModelError: See `model`.
    """
    return WorkerPool([worker(kind) for kind in _DESCRIPTIONS])


def worker(kind: str, name: str = "", **options: Any) -> Worker:
    """One embedded worker.

    Args:
        kind: `"calculator"`, `"wordsmith"` or `"smollm2"`.
        name: Its name, if not its kind.
        options: Other options of `Worker`.

    Raises:
        ValueError: If there is none of that kind.
        LocalModelError: See `model`; of `smollm2` alone.
    """
    if kind not in _DESCRIPTIONS:
        raise ValueError(f"there is no embedded worker {kind!r}; choose from {', '.join(_DESCRIPTIONS)}")
    runnable = {"calculator": calculator, "wordsmith": wordsmith}.get(kind) or _talker()
    return Worker(name or kind, runnable, **{"description": _DESCRIPTIONS[kind], **options})


_DESCRIPTIONS: Final = {
    "calculator": "exact arithmetic with numbers",
    "wordsmith": "exact operations on words: sort, reverse, count letters, change case",
    "smollm2": "general language model: facts, explanations, writing",
}


def _talker() -> Callable[[WorkerTask], str]:
    chat = model(max_tokens=160)

    def talk(task: WorkerTask) -> str:
        # The full prompt of a worker is too much for this model: what it was granted and its subtask, and
        # the question, if the subtask only speaks of it ("Answer the question.").
        question = _asked(text_of(task.question))
        told = task.subtask.rstrip(".?! ").casefold() in question.casefold()
        texts = [*(output.text for output in task.inputs if output.text), task.subtask]
        texts = texts if told else [question, *texts]
        return str(chat.invoke([SystemMessage(_WORKER_TASK), HumanMessage("\n".join(texts))]).text)

    return talk


def calculator(task: WorkerTask) -> str:
    """Exact arithmetic: the expression of the question, or else of the subtask.

    Raises:
        ValueError: If neither holds one, or it has no exact value.
    """
    return calculate(_first(find_expression, task) or _refuse(task, "arithmetic expression"))


def wordsmith(task: WorkerTask) -> str:
    """An exact operation on words: the one the question asks for, or else the subtask.

    Raises:
        ValueError: If neither asks for one it knows.
    """

    def known(text: str) -> str | None:
        try:
            return transform(text)
        except ValueError:
            return None

    return _first(known, task) or transform(task.subtask)


def _asked(question: str) -> str:
    """The question without lines on the form of its answer, such as those of evaluations: they speak of a tag."""
    lines = question.splitlines()
    return "\n".join(line for line in lines if "</answer>" not in line) or question


def _first(read: Callable[[str], str | None], task: WorkerTask) -> str | None:
    # The question before the subtask: the planner's wording of it may be wrong, the user's is not.
    # But in a workflow of several steps the subtask says which part of the question is meant.
    texts = [_asked(text_of(task.question)), task.subtask]
    if not task.is_final or task.inputs:
        texts.reverse()
    return next((found for text in texts if (found := read(text)) is not None), None)


def _refuse(task: WorkerTask, what: str) -> str:
    raise ValueError(f"found no single {what} in {task.subtask!r} or the question")


def _shown(thought: str, plan: Sequence[tuple[str, str, list[str]]]) -> str:
    steps = [{"worker": worker, "subtask": subtask, "access": access} for worker, subtask, access in plan]
    return json.dumps({"reasoning": thought, "steps": steps})

"""The embedded pool: one small model, adapters of it that were each taught one skill, and an exact calculator.

The planner is an adapter of the same model, trained on workflows that ran (`langgraph_conductor.train.tiny`). One
server, which holds the model once, serves them all.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr

from langgraph_conductor.errors import LocalModelError
from langgraph_conductor.local.calculator import check_calculator
from langgraph_conductor.local.conductor import MOST_PLAN_TOKENS, EmbeddedPlanner
from langgraph_conductor.local.exact import calculator, wordsmith
from langgraph_conductor.local.server import LocalServer, serve
from langgraph_conductor.local.shipped import Shipped, shipped
from langgraph_conductor.local.specialists import MOST_TOKENS as MOST_SPECIALIST_TOKENS
from langgraph_conductor.local.specialists import SPECIALISTS, specialist
from langgraph_conductor.local.talker import MOST_TOKENS as MOST_TALKER_TOKENS
from langgraph_conductor.local.talker import talker
from langgraph_conductor.local.weights import smollm2_path
from langgraph_conductor.records import WorkerTask
from langgraph_conductor.workers import Worker, WorkerPool

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

CONDUCTOR: Final = "conductor"
"""The adapter that plans."""

TALKER: Final = "smollm2"
"""The worker that is the model without an adapter."""

POOL: Final[Mapping[str, str]] = {
    TALKER: "general language model: facts, explanations, writing",
    "calculator": "exact arithmetic with numbers",
    **SPECIALISTS,
}
"""The workers of the embedded pool, and what planners are told of them. The first answers where planning fails."""

KINDS: Final[Mapping[str, str]] = {
    **POOL,
    "wordsmith": "exact operations on words: sort, reverse, count letters, change case",
}
"""All embedded workers; those that are not in the pool do what others in it do, or much of it."""

_FUNCTIONS: Final = {"calculator": calculator, "wordsmith": wordsmith}

ModelOf = Callable[[str, int], BaseChatModel]
"""The embedded model with an adapter (its name; empty for none) and a bound on the tokens of a reply."""


def model(*, adapter: str = "", max_tokens: int = 256) -> "ChatOpenAI":
    """SmolLM2-135M, served on loopback by this process and called like any OpenAI-compatible model.

    Args:
        adapter: The adapter it answers with, such as `"sorter"`; without one it is the model as published.
        max_tokens: Most tokens of one reply.

    Raises:
        LocalModelError: If the weights, an adapter or a package are missing; the message says what to do.
    """
    try:
        from langgraph_conductor.local.chat import EmbeddedChat
    except ImportError as error:
        install = "The embedded model needs langchain-openai: pip install 'langgraph-conductor[local]'"
        raise LocalModelError(install) from error
    server, adapters = _served()
    choice = server.choosing(adapter)
    # Replies are kept by the model's name: another training of an adapter must not look like this one.
    name = f"smollm2-135m+{adapter}-{adapters[adapter].sha256[:8]}" if adapter else "smollm2-135m"
    return EmbeddedChat(
        base_url=server.url,
        api_key=SecretStr(server.key),
        model=name,
        temperature=0,
        max_completion_tokens=max_tokens,
        max_retries=0,
        stream_usage=True,  # with a base URL set, ChatOpenAI asks for no usage while it streams
        timeout=300,
        profile={"structured_output": True},
        extra_body=choice,
    )


@cache
def _served() -> tuple[LocalServer, Mapping[str, Shipped]]:
    # Once a process: finding the weights reads and hashes all 98 MB of them.
    adapters = shipped()
    files = {name: adapter.file for name, adapter in adapters.items()}
    return serve(smollm2_path(), slots=4, context=2048, adapters=files), adapters


def planner() -> EmbeddedPlanner:
    """The embedded planner: a small conductor, trained on the embedded pool.

    Raises:
        LocalModelError: See `model`.
    """
    return EmbeddedPlanner(model(adapter=CONDUCTOR, max_tokens=MOST_PLAN_TOKENS))


def workers(model_of: ModelOf | None = None) -> WorkerPool:
    """The embedded workers: those in `POOL`.

    Args:
        model_of: Where their models come from; `model` if left out. Training has them in its own process.

    Raises:
        LocalModelError: See `model`.
    """
    return WorkerPool([worker(kind, model_of=model_of) for kind in POOL])


def worker(kind: str, name: str = "", *, model_of: ModelOf | None = None, **options: Any) -> Worker:
    """One embedded worker.

    Args:
        kind: One of those in `KINDS`.
        name: Its name, if not its kind.
        model_of: See `workers`.
        options: Other options of `Worker`.

    Raises:
        ValueError: If there is none of that kind.
        LocalModelError: See `model`; of kinds that are models. Of the calculator, if its package is missing.
    """
    if kind not in KINDS:
        raise ValueError(f"there is no embedded worker {kind!r}; choose from {', '.join(KINDS)}")
    if kind == "calculator":
        check_calculator()  # rather now than at the first question
    runnable = _FUNCTIONS.get(kind) or _speaking(kind, model_of or _local)
    return Worker(name or kind, runnable, **{"description": KINDS[kind], **options})


def _speaking(kind: str, model_of: ModelOf) -> Callable[[WorkerTask], str]:
    if kind == TALKER:
        return talker(model_of("", MOST_TALKER_TOKENS))
    return specialist(model_of(kind, MOST_SPECIALIST_TOKENS))


def _local(adapter: str, max_tokens: int) -> BaseChatModel:
    return model(adapter=adapter, max_tokens=max_tokens)

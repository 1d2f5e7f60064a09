"""A worker: a name and anything that can answer."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from langchain_core.caches import BaseCache
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableConfig

from langgraph_conductor.containment import acontained, contained
from langgraph_conductor.history import History, checked_history
from langgraph_conductor.prices import NO_EXTRAS, Extras, Model, Price, PriceTable, charged, price_table
from langgraph_conductor.prompts import WITHHELD
from langgraph_conductor.records import WorkerTask
from langgraph_conductor.replies import storable
from langgraph_conductor.usage import Usage
from langgraph_conductor.workers.composed import models_in
from langgraph_conductor.workers.exception_groups import main_cause
from langgraph_conductor.workers.failures import is_outage, refusal_in, secrets_of
from langgraph_conductor.workers.fitting import Reader, reader_of
from langgraph_conductor.workers.forms import Form, WorkerRunnable, async_only, form_of, text_of_result
from langgraph_conductor.workers.instructions import instructed
from langgraph_conductor.workers.limits import Limiter
from langgraph_conductor.workers.metering import Bounds
from langgraph_conductor.workers.models import chat_model
from langgraph_conductor.workers.own_code import blame_definition
from langgraph_conductor.workers.tool_loop import MAX_TOOL_TURNS, loop_agent
from langgraph_conductor.workers.tool_servers import with_mcp
from langgraph_conductor.workers.tools import (
    checked_middleware,
    checked_tools,
    mcp_servers,
    only_awaited,
)

if TYPE_CHECKING:  # slow to import, and few workers have tools
    from langchain.agents.middleware import AgentMiddleware
    from langchain_core.tools import BaseTool

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}\Z")
_RESERVED: Final = frozenset({"all"})


class Worker:
    """Something that answers subtasks, under a name.

    Args:
        name: Letters, digits, `_` and `-`, beginning with a letter or `_`; not `all`. Planners that
            are shown names choose by it, and traces show it.
        runnable: A model string (`"openai:gpt-5"`, see `workers.chat_model`), a chat model, a Runnable
            from messages to text, a graph whose state has `messages` (`create_agent`, deepagents, another
            conductor), or a plain or async function of a `WorkerTask` that returns text. No part of it may
            remember earlier calls by itself (`checkpointer=True`): a step reads what it is granted.
        description: What it is good at, for planners that are shown descriptions.
        tools: Tools for a model: LangChain tools, functions, and mappings that are connections to MCP
            servers (`{"transport": "stdio", "command": ..., "args": [...]}`), which may take 60 seconds
            for a reply, or their `read_timeout`. Tools of a server with a `"name"` are called `name_tool`;
            other tools of servers get what the server calls itself before their names where two are called
            alike. The model then runs in LangChain's agent loop. Its tool
            calls stay with it; only its answer travels on.
        instructions: How it is to work, in your words: its system prompt. A model is sent it as a system
            message, and one that refuses those has it at the beginning of its prompt. A function finds it as
            the first of `WorkerTask.messages`. A graph, agent or conductor has system prompts of its own, so
            there it begins the prompt. The planner is not shown it; it reads `description`.
        history: What it sees of the chat: `"all"` its turns, as one prompt; `"last"`, the newest request alone;
            or a number of turns before that, where system messages of the chat are not counted and stay.
            The planner always sees all.
        middleware: LangChain agent middleware for that loop, such as `HumanInTheLoopMiddleware` for
            tools that need a person's yes.
        max_tool_turns: Turns in which it may call tools, 10 if left out; then it has to answer.
        tags: Words to choose workers by.
        max_concurrency: Most tasks it works on at once.
        requests_per_minute: Most model calls it begins within any 60 seconds.
        tokens_per_minute: Most tokens of the calls it begins within any 60 seconds, see `Limiter`.
        limiter: A `Limiter` shared with other workers, in place of these three.
        timeout: Seconds one try may take; waiting for a limit does not count. In a blocking run the
            call is left behind, since a thread cannot be stopped: it makes no further model call and no
            longer counts as a task at work. In an awaited run it is cancelled.
        retries: Times a call is repeated after an outage (network, rate limit, server fault), with
            growing, random waits, or the wait the provider asks for. Other failures are not repeated,
            and graphs never: begun anew they would repeat what their tools did.
        fallback: Name of the worker that is asked where this one fails for good. The record says so.
        price: USD per million tokens, such as `{"input": "1.25", "output": "10"}`, or a table of prices
            by model name. Left out, the provider's report or the list of `genai-prices` counts.
        max_input_tokens: Longest prompt; a longer one, by estimate, fails before it is paid. Left out, it
            is what the model's profile says.
        may_be_last: Whether it may be given the last step, whose output is the answer.
        version: A word that changes when a function or graph does. A reply store then goes by it, in place
            of looking into code (see `ReplyStore`).

    Raises:
        ValueError: If the name or an option does not fit.
        TypeError: If `runnable` is none of these forms.
        ImportError: If a model string or MCP tools need a package that is not installed.
    """

    def __init__(
        self,
        name: str,
        runnable: WorkerRunnable,
        /,
        *,
        description: str = "",
        instructions: str = "",
        history: History = "all",
        tools: "Sequence[BaseTool | Callable[..., Any] | Mapping[str, Any]]" = (),
        middleware: "Sequence[AgentMiddleware[Any, Any, Any]]" = (),
        max_tool_turns: int | None = None,
        tags: Sequence[str] = (),
        max_concurrency: int | None = None,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        limiter: Limiter | None = None,
        timeout: float | None = None,
        retries: int = 2,
        fallback: str | None = None,
        price: Price | Mapping[str, Any] | None = None,
        max_input_tokens: int | None = None,
        may_be_last: bool = True,
        version: str = "",
    ) -> None:
        check_name(name, "worker")
        what = f"worker {name!r}"
        if not isinstance(description, str) or not isinstance(version, str) or not _texts(tags):
            raise ValueError(f"{what}: description and version must be strings and tags a list of strings")
        if type(may_be_last) is not bool:
            raise ValueError(f"{what}: may_be_last must be True or False, not {may_be_last!r}")
        if not isinstance(instructions, str) or storable(instructions) != instructions:
            raise ValueError(f"{what}: instructions must be a text without NUL or half a surrogate pair")
        _whole(what, "retries", retries, 0)
        if max_tool_turns is not None:
            _whole(what, "max_tool_turns", max_tool_turns, 0)
        if max_input_tokens is not None:
            _whole(what, "max_input_tokens", max_input_tokens, 1)
        if timeout is not None and not (_number(timeout) and 0 < timeout < math.inf):
            raise ValueError(f"{what}: timeout must be a number of seconds above 0, not {timeout!r}")
        if fallback is not None and (not isinstance(fallback, str) or fallback in ("", name)):
            raise ValueError(f"{what}: fallback must be the name of another worker, not {fallback!r}")
        own_tools, middleware = checked_tools(tools, name), checked_middleware(middleware, name)
        if max_tool_turns is not None and not (tools or middleware):
            raise ValueError(f"{what}: max_tool_turns is for workers with tools, and it has none")
        if (tools or middleware) and not isinstance(runnable, str | BaseChatModel):
            raise ValueError(
                f"{what}: tools and middleware are for model strings and chat models; give an agent its own"
            )
        self.name = name
        self.runnable = runnable
        self.description = description
        self.instructions = instructions.strip()
        self.history = checked_history(history, what)
        self.tags = frozenset(tags)
        self.timeout = timeout
        self.retries = retries
        self.fallback = fallback
        self.prices = _in(what, price_table, price)
        self.may_be_last = may_be_last
        self.version = version
        self.limiter = _limiter(what, limiter, max_concurrency, requests_per_minute, tokens_per_minute)
        if isinstance(runnable, str):
            runnable = chat_model(runnable, what)
        looped: Any = runnable  # a chat model, where there are tools
        self.models = models_in(runnable)
        self.model = self.models[0] if self.models else None
        self.reader: Reader = reader_of(runnable)
        self.bounds = bounds_of(self.model)
        self.other_bounds = tuple(bounds_of(model) for model in self.models[1:])
        self.max_input_tokens = max_input_tokens
        servers = mcp_servers(tools, name)
        self.secrets = secrets_of(runnable, *self.models, *own_tools, *servers, *middleware)
        self.tools = tuple(tools)
        self.middleware = tuple(middleware)
        self.max_tool_turns = max_tool_turns
        self.form = (
            _agent_form(
                partial(
                    loop_agent,
                    looped,
                    middleware=middleware,
                    max_tool_turns=MAX_TOOL_TURNS if max_tool_turns is None else max_tool_turns,
                    retries=retries,
                    name=name,
                    instructions=self.instructions,
                ),
                own_tools,
                servers,
                name,
                middleware=middleware,
                retries=retries,
            )
            if tools or middleware
            else form_of(runnable, name)
        )

    def __repr__(self) -> str:
        return f"Worker({self.name!r})"  # the runnable may show a key

    def handed(self, task: WorkerTask) -> WorkerTask:
        """`task` with a prompt of what the worker's model reads of the attachments, and words for the rest.

        Of several models that may be asked in turn, what all of them read is sent; of those of an agent, what one
        does. Functions, and runnables whose models are not known, get all of it in LangChain's standard blocks.
        """
        messages = self.reader.fitted(task.messages, task.question, WITHHELD)
        return replace(task, messages=tuple(messages))

    def instructed(self, task: WorkerTask) -> WorkerTask:
        """`task` with the worker's instructions in its messages; those of an agent loop of ours go into that."""
        if not self.instructions or self.tools or self.middleware:
            return task
        in_prompt = self.form.graph is not None
        return replace(task, messages=instructed(task.messages, self.instructions, in_prompt=in_prompt))

    def call(self, task: WorkerTask, config: RunnableConfig) -> str:
        """Answer `task` once.

        Args:
            task: What is asked.
            config: The LangChain config the runnable is called with.

        Returns:
            The text, never empty.

        Raises:
            CutOffError: If the reply shows that it is not whole.
            EmptyReplyError: If the reply holds no text.
            RefusalError: If the model refused to answer.
            TypeError: If the worker can only be awaited.
            Exception: Whatever the runnable raises.
        """
        if self.form.call is None:
            raise TypeError(async_only(self.name))
        with _failures_told():
            return self._text(contained(self.form.call, self.instructed(self.handed(task)), config))

    async def acall(self, task: WorkerTask, config: RunnableConfig) -> str:
        """`call`, awaited."""
        with _failures_told():
            return self._text(await acontained(self.form.acall, self.instructed(self.handed(task)), config))

    def _text(self, result: Any) -> str:
        try:
            return text_of_result(result)
        except TypeError as error:
            blame_definition(error, self.runnable)
            raise


@contextmanager
def _failures_told() -> Iterator[None]:
    """What a worker raises, as the one failure that says most."""
    try:
        yield
    except ExceptionGroup as group:
        raise main_cause(group, is_outage)  # noqa: B904 - its own cause stays; the group is its context
    except (StopIteration, StopAsyncIteration) as error:
        raise RuntimeError(f"the worker raised {type(error).__name__}") from error
    except Exception as error:
        if (refusal := refusal_in(error)) is not None:
            raise refusal from error
        raise


def _agent_form(
    build: Callable[..., Any],
    tools: list[Any],
    servers: Sequence[Mapping[str, Any]],
    name: str,
    *,
    middleware: Sequence[Any],
    retries: int,
) -> Form:
    form = form_of(build(tools), name)
    if servers:
        acall = with_mcp(
            servers,
            lambda found, aliases: build([*tools, *found], aliases=aliases),
            own=[tool.name for tool in tools],
            middleware=middleware,
            retries=retries,
        )
        return Form(None, acall, form.graph)
    return Form(None, form.acall, form.graph) if only_awaited(tools) else form


def _limiter(what: str, shared: Limiter | None, tasks: Any, requests: Any, tokens: Any) -> Limiter | None:
    if all(limit is None for limit in (tasks, requests, tokens)):
        if shared is not None and not isinstance(shared, Limiter):
            raise ValueError(f"{what}: limiter must be a Limiter, not {shared!r}")
        return shared
    if shared is not None:
        raise ValueError(f"{what}: give either a limiter or limits of its own")
    own: Limiter = _in(
        what,
        lambda _: Limiter(max_concurrency=tasks, requests_per_minute=requests, tokens_per_minute=tokens),
        None,
    )
    return own


def _in(what: str, make: Any, given: Any) -> Any:
    try:
        return make(given)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None


def _profile(model: Any, key: str) -> int | None:
    value: Any = (getattr(model, "profile", None) or {}).get(key)
    return value if type(value) is int and value > 0 else None


def output_cap_of(model: Any) -> int | None:
    """Most tokens of one reply of a chat model, by its own setting or its profile; `None` if unknown."""
    for name in ("max_tokens", "max_completion_tokens", "max_output_tokens", "num_predict"):
        cap = getattr(model, name, None)
        if type(cap) is int and cap > 0:
            return cap
    return _profile(model, "max_output_tokens")


def bounds_of(model: Any) -> Bounds:
    """What a chat model takes and gives, by its profile; its own settings come with each call."""
    if not isinstance(model, BaseChatModel):
        return Bounds()
    name = str(model._get_ls_params().get("ls_model_name") or "")
    return Bounds(
        name,
        _profile(model, "max_input_tokens"),
        _profile(model, "max_output_tokens"),
        caches=isinstance(model.cache, BaseCache),
    )


def cost_of(usage: Usage, model: BaseChatModel, prices: PriceTable) -> Usage:
    """`usage` with the money a model asks for it, where that is known."""
    dearer = getattr(model, "service_tier", None) == "priority"
    return charged(usage, named(model), prices, extras=Extras(tier="priority") if dearer else NO_EXTRAS)


def named(model: BaseChatModel) -> Model:
    """Who a chat model asks, as far as LangChain is told."""
    about = model._get_ls_params()
    return Model(str(about.get("ls_model_name") or ""), str(about.get("ls_provider") or ""))


def _whole(what: str, option: str, value: Any, least: int) -> None:
    if type(value) is not int or value < least:
        raise ValueError(f"{what}: {option} must be a number from {least} up, not {value!r}")


def _texts(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and all(isinstance(v, str) for v in value)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_name(name: object, what: str) -> None:
    """Refuse a name that cannot stand in plans, traces and graphs.

    Raises:
        ValueError: With the rule.
    """
    if not isinstance(name, str) or not _NAME.match(name) or name.lower() in _RESERVED:
        raise ValueError(
            f"{what} name {name!r}: use letters, digits, `_` and `-`, beginning with a letter or `_`, "
            "at most 64 of them, and not `all`"
        )

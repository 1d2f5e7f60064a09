"""A worker: a name and anything that can answer."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from langchain_core.runnables import RunnableConfig

from langgraph_conductor.records import WorkerTask
from langgraph_conductor.usage import Price
from langgraph_conductor.workers.failures import EmptyReplyError
from langgraph_conductor.workers.forms import async_only, form_of, text_of_result

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}\Z")
_RESERVED: Final = frozenset({"all"})

_LATER: Final = {
    "tools": "give create_agent(model, tools) as the runnable",
    "max_concurrency": "set max_concurrency in the config of the run",
    "requests_per_minute": "set rate_limiter on the chat model",
    "tokens_per_minute": "set rate_limiter on the chat model",
    "timeout": "set the timeout of the chat model",
    "fallback": "give model.with_fallbacks([...]) as the runnable",
    "max_input_tokens": "shorten the question with get_question",
}
"""Options that are part of the signature but not honoured yet, and what to do instead."""


class Worker:
    """Something that answers subtasks, under a name.

    Args:
        name: Letters, digits, `_` and `-`, beginning with a letter or `_`; not `all`. Planners that
            are shown names choose by it, and traces show it.
        runnable: A model string (`"openai:gpt-5"`), a chat model, a Runnable from messages to text, a
            graph whose state has `messages` (`create_agent`, deepagents, another conductor), or a
            plain or async function of a `WorkerTask` that returns text.
        description: What it is good at, for planners that are shown descriptions.
        tags: Words to choose workers by.
        retries: Times a call is repeated after an outage (network, rate limit, server fault), with
            growing, random waits. Other failures are not repeated, and graphs never: begun anew they
            would repeat what their tools did; their models and nodes have retries of their own.
        price: USD per million tokens, such as `{"input": "1.25", "output": "10"}`.
        may_be_last: Whether it may be given the last step, whose output is the answer.
        tools: Not honoured yet, as are the ones below; refused when given.
        max_concurrency: Not honoured yet.
        requests_per_minute: Not honoured yet.
        tokens_per_minute: Not honoured yet.
        timeout: Not honoured yet.
        fallback: Not honoured yet.
        max_input_tokens: Not honoured yet.

    Raises:
        ValueError: If the name or an option does not fit.
        TypeError: If `runnable` is none of these forms.
        ImportError: If a model string needs a package that is not installed.
    """

    def __init__(
        self,
        name: str,
        runnable: Any,
        /,
        *,
        description: str = "",
        tools: Sequence[Any] = (),
        tags: Sequence[str] = (),
        max_concurrency: int | None = None,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        timeout: float | None = None,
        retries: int = 2,
        fallback: str | None = None,
        price: Price | Mapping[str, Any] | None = None,
        max_input_tokens: int | None = None,
        may_be_last: bool = True,
    ) -> None:
        check_name(name, "worker")
        given = {
            "tools": tools or None,
            "max_concurrency": max_concurrency,
            "requests_per_minute": requests_per_minute,
            "tokens_per_minute": tokens_per_minute,
            "timeout": timeout,
            "fallback": fallback,
            "max_input_tokens": max_input_tokens,
        }
        for option, value in given.items():
            if value is not None:
                raise ValueError(
                    f"worker {name!r}: `{option}` is not honoured yet; {_LATER[option]} instead"
                )
        if type(retries) is not int or retries < 0:
            raise ValueError(f"worker {name!r}: retries must be a number from 0 up, not {retries!r}")
        if type(may_be_last) is not bool:
            raise ValueError(f"worker {name!r}: may_be_last must be True or False, not {may_be_last!r}")
        if not isinstance(description, str) or isinstance(tags, str):
            raise ValueError(f"worker {name!r}: description must be a string and tags a list of strings")
        self.name = name
        self.runnable = runnable
        self.description = description
        self.tags = frozenset(tags)
        self.retries = retries
        self.price = None if price is None else Price.of(price)
        self.may_be_last = may_be_last
        self.form = form_of(runnable, name)

    def __repr__(self) -> str:
        return f"Worker({self.name!r})"  # the runnable may show a key

    def call(self, task: WorkerTask, config: RunnableConfig) -> str:
        """Answer `task` once.

        Args:
            task: What is asked.
            config: The LangChain config the runnable is called with.

        Returns:
            The text, never empty.

        Raises:
            EmptyReplyError: If the reply holds no text.
            TypeError: If the worker can only be awaited.
            Exception: Whatever the runnable raises.
        """
        if self.form.call is None:
            raise TypeError(async_only(self.name))
        try:
            return _not_empty(text_of_result(self.form.call(task, config)))
        except StopIteration as error:
            raise RuntimeError("the worker raised StopIteration") from error

    async def acall(self, task: WorkerTask, config: RunnableConfig) -> str:
        """`call`, awaited."""
        try:
            return _not_empty(text_of_result(await self.form.acall(task, config)))
        except (StopIteration, StopAsyncIteration) as error:
            raise RuntimeError(f"the worker raised {type(error).__name__}") from error


def _not_empty(text: str) -> str:
    if not text:
        raise EmptyReplyError("the worker replied without any text")
    return text


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

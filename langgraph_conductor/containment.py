"""What a step or planner calls cannot end the program: `SystemExit` from it is a failure like others."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")

AWAITED: ContextVar[bool] = ContextVar("awaited", default=False)
"""Whether this runs inside an awaited step or planner."""


def contained(call: Callable[..., ResultT], *args: Any) -> ResultT:
    """`call(*args)`, where what is called cannot end the program.

    Raises:
        RuntimeError: In place of `SystemExit`, `GeneratorExit`, `CancelledError`, a group of such, and every other
            exception that is no `Exception`. `KeyboardInterrupt` passes, and so does a real cancellation.
    """
    try:
        return call(*args)
    except Exception:
        raise
    except BaseException as error:  # noqa: BLE001 - all but the exceptions that pass
        failure = _failure(error)
    raise failure


class Cancellations:
    """Knows whether the task it was made in has been cancelled since.

    What is being cancelled may raise something else while it is closed (anyio's `BrokenResourceError`, a group of
    errors), or give a result as if nothing had happened. Requests count: `asyncio.timeout` and the scopes of anyio
    take their own back when they are left.
    """

    def __init__(self) -> None:
        self._before = self._requests()

    @staticmethod
    def _requests() -> int:
        return task.cancelling() if (task := _current_task()) is not None else 0

    def check(self) -> None:
        """Raise `CancelledError` if it has been.

        Raises:
            asyncio.CancelledError: With what is being handled as its context.
        """
        if self._requests() > self._before:
            raise asyncio.CancelledError


async def acontained(call: Callable[..., Awaitable[ResultT]], *args: Any) -> ResultT:
    """`contained`, awaited, in the task that raises: asyncio ends its loop with one that raises `SystemExit`.

    Raises:
        asyncio.CancelledError: If the task was cancelled meanwhile, whatever `call` raised or returned then.
    """
    cancellations = Cancellations()
    try:
        result = await call(*args)
        cancellations.check()
        return result
    except Exception as error:
        cancellations.check()
        if (raised := _mistaken(error)) is None:
            raise
        failure = _failure(raised)
    except GeneratorExit as error:
        if _current_task() is None:  # the coroutine itself is closed
            raise
        failure = _failure(error)
    except BaseException as error:  # noqa: BLE001 - all but the exceptions that pass
        failure = _failure(error)
    raise failure


@contextmanager
def contained_tasks(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Contain the tasks that are begun on `loop` where `AWAITED` is set; all others stay as they are.

    A step may begin tasks of its own (`asyncio.gather`, LangGraph's nodes), and asyncio raises their `SystemExit`
    out of its loop before anyone who waits for them sees it. So they are made by a factory that wraps the loop's
    own. It is taken off with the last such step, unless someone has set another meanwhile.
    """
    found = loop.get_task_factory()
    factory = found if isinstance(found, _Factory) else _Factory(found)
    if factory is not found:
        loop.set_task_factory(factory)
    factory.users += 1
    try:
        yield
    finally:
        factory.users -= 1
        if not factory.users and loop.get_task_factory() is factory:
            loop.set_task_factory(factory.own)


class _Factory:
    """Makes tasks as `own` does, those begun inside a step from a `_Contained` coroutine."""

    def __init__(self, own: Any) -> None:
        self.own = own
        self.users = 0

    def __call__(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
        context: Context | None = options.get("context")
        inside = AWAITED.get() or (context is not None and context.get(AWAITED, False))
        if inside and isinstance(coro, Coroutine) and not isinstance(coro, _Contained):
            coro = _Contained(coro)
        if self.own is None:
            return asyncio.Task(coro, loop=loop, **options)
        return self.own(loop, coro, **options)


class _Contained(Coroutine[Any, Any, Any]):
    """A coroutine in which `SystemExit` is a failure; all else of it is the inner one's.

    An object, not an `async def` around the inner one: a task that is cancelled before it starts throws into what
    it was given, which must be the inner one, or that would never be awaited. Whoever looks at it (`inspect`,
    debuggers, anyio) finds the inner one's `cr_frame`, `cr_running`, `__qualname__`.
    """

    __slots__ = ("_inner",)

    def __init__(self, inner: Coroutine[Any, Any, Any]) -> None:
        self._inner = inner

    def send(self, value: Any) -> Any:
        try:
            return self._inner.send(value)
        except SystemExit as error:
            failure = _failure(error)
        raise failure

    def throw(self, *error: Any) -> Any:
        try:
            return self._inner.throw(*error)
        except SystemExit as exiting:
            failure = _failure(exiting)
        raise failure

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._inner.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _failure(error: BaseException) -> BaseException:
    """What an exception that is no `Exception` stands for, where it was raised by what a step or planner calls."""
    if isinstance(error, KeyboardInterrupt):
        return error
    if isinstance(error, BaseExceptionGroup) and (interrupts := error.subgroup(KeyboardInterrupt)):
        return _first(interrupts)
    if (task := _current_task()) is not None and task.cancelling():
        return error if isinstance(error, asyncio.CancelledError) else asyncio.CancelledError()
    # Without it as the cause: an exit status is no HTTP status, which would make it an outage.
    told = said(error)
    failure = RuntimeError(f"{type(error).__name__} was raised" + (f": {told}" if told else ""))
    failure.__context__ = error
    failure.__suppress_context__ = False
    return failure


def said(error: BaseException) -> str:
    """What `error` says; its class may be anybody's, and its mistakes are no end of a run.

    Raises:
        KeyboardInterrupt: As whoever runs this wants it to end.
    """
    try:
        return str(error)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - also `SystemExit` and asyncio's, which nobody asked for here
        return f"{type(error).__name__} that cannot be shown as text"


def _mistaken(error: Exception) -> BaseException | None:
    """What a model raised that LangChain took for its reply.

    Of awaited calls LangChain tells errors from replies by `Exception`, and asks any other for its `generations`.
    """
    raised = getattr(error, "obj", None) if isinstance(error, AttributeError) else None
    mistaken = isinstance(raised, BaseException) and not isinstance(raised, Exception)
    return raised if mistaken and getattr(error, "name", "") == "generations" else None


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _current_task() -> "asyncio.Task[Any] | None":
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs in this thread
        return None

"""Keeps keys out of traces: some providers repeat the key in their errors, and tracers tell errors in full."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from operator import is_
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.outputs import ChatGeneration, LLMResult
from langgraph.errors import GraphBubbleUp
from pydantic import BaseModel

from langgraph_conductor.workers.known_secrets import begun, redacted, secrets_of, without
from langgraph_conductor.workers.reading import dictionary, slots_of


def redact(error: BaseException, secrets: Iterable[str] = (), *, guess: bool = True) -> None:
    """Take keys out of what `error` and its causes say: tracers and tracebacks show it as it is.

    Its texts and JSON are replaced, and what it shares with others stays as it is. An exception that makes
    its text of other things than its `args` and attributes, such as a group, becomes one of a class of the same
    name, derived from its own, that shows the text without keys. Nothing is raised.

    Args:
        error: The exception.
        secrets: Keys that are known.
        guess: Whether what only looks like a key goes from its attributes too, see `redacted`. It always goes from
            what tracebacks show: its `args`, its notes.
    """
    secrets = tuple(secrets)
    told_clean = _Cleaner(redacted, secrets)
    clean = told_clean if guess else _Cleaner(without, secrets)
    waiting, seen = [error], dict[int, BaseException]()
    while waiting:
        told = waiting.pop()
        if id(told) in seen:
            continue
        seen[id(told)] = told
        with _whatever_it_raises():
            # The ways of a class may be closed: a frozen dataclass, a property.
            args = [
                arg if _of_errors(arg) else told_clean.shown(arg)
                for arg in BaseException.args.__get__(told)  # type: ignore[attr-defined]
            ]
            BaseException.args.__set__(told, tuple(args))  # type: ignore[attr-defined]
        _clean_fields(told, lambda name: told_clean if name == "__notes__" else clean)
        if not guess and _shows_more(told, told_clean):  # it makes its text of its attributes
            _clean_fields(told, lambda _: told_clean)
        waiting += [cause for cause in (told.__cause__, told.__context__) if cause is not None]
        waiting += told.exceptions if isinstance(told, BaseExceptionGroup) else ()
    for told in seen.values():
        if _shows_more(told, told_clean):
            with _whatever_it_raises():
                _mask(told, secrets, told_clean, guess)


@contextmanager
def _whatever_it_raises() -> Iterator[None]:
    """Go on after what the code of an exception's class raises, `SystemExit` too; not after a real Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001, S110 - nobody asked for it here
        pass


def _shown(show: Callable[[Any], str], error: BaseException) -> str:
    """What `show` makes of `error`, or that nothing can be made."""
    try:
        return show(error)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - as above
        return f"{type(error).__name__} that cannot be shown as text"


def _of_errors(value: Any) -> bool:
    """Whether it is what a group holds; each of these loses its keys by itself."""
    return isinstance(value, list | tuple) and all(isinstance(one, BaseException) for one in value)


def _clean_fields(error: BaseException, way: Callable[[str], Callable[[Any], Any]]) -> None:
    held = dictionary(error) or {}
    for name, value in list(held.items()):
        with _whatever_it_raises():
            held[name] = way(name)(value)
    kind: Any = type(error)
    for name, slot in slots_of(kind):  # as `OSError` keeps its file's name
        with _whatever_it_raises():
            if (cleaned := way(name)(value := slot.__get__(error))) is not value:
                slot.__set__(error, cleaned)


def _mask(error: BaseException, secrets: tuple[str, ...], clean: "_Cleaner", guess: bool) -> None:
    """Have an error that makes its text of what nobody can replace, as groups do, show it without keys.

    Its class becomes one derived from it: whoever has the error already, such as a tracer, sees no other way.
    """
    kind: Any = type(error)

    def reduced(self: Any) -> Any:
        made, *rest = kind.__reduce__(self)
        return (kind if made is type(self) else made, *rest)

    def derived(self: Any, errors: Any) -> Any:  # for `split`, `subgroup` and `except*`
        group = kind.derive(self, errors)
        redact(group, secrets, guess=guess)
        return group

    parts: dict[str, Any] = {
        "__slots__": (),
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
        "__str__": lambda self: clean(_shown(kind.__str__, self)),
        "__repr__": lambda self: clean(_shown(kind.__repr__, self)),
        "__reduce__": reduced,
    }
    if isinstance(error, BaseExceptionGroup):
        parts |= {"message": property(lambda self: clean(kind.message.__get__(self))), "derive": derived}
    error.__class__ = type(kind)(kind.__name__, (kind,), parts)


def _shows_more(error: BaseException, clean: "_Cleaner") -> bool:
    """Whether it shows a key, or ends whoever shows it."""
    for shown in (str, repr):
        try:
            if clean(text := shown(error)) != text:
                return True
        except Exception:  # noqa: BLE001, S110 - those who show errors are ready for it
            pass
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - such as `SystemExit`: a tracer would end with it
            return True
    return False


@contextmanager
def hiding_keys_of(holder: Any) -> Iterator[None]:
    """Take the keys that `holder` holds, such as a function of the user's, out of the error it fails with."""
    try:
        yield
    except GraphBubbleUp:
        raise
    except Exception as error:
        redact(error, secrets_of(holder), guess=False)
        raise


class Redactor(BaseCallbackHandler):
    """Takes keys out of every error. It has to stand before the tracers.

    Args:
        secrets: Keys that are known.
    """

    run_inline = True  # under asyncio too it is over before the tracers are told

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._secrets = secrets

    def __hash__(self) -> int:
        # LangChain and LangGraph merge handlers through a set (`BaseCallbackManager.merge`), which keeps no
        # order but this: what is put in first, with hash 0, comes out first.
        return 0

    def on_chat_model_start(
        self,
        serialized: dict[str, Any] | None,
        *_: Any,
        invocation_params: dict[str, Any] | None = None,
        **__: Any,
    ) -> None:
        """A call begins. What LangChain says of its model, and tracers keep, has its headers and its URL.

        Without this LangChain would also write the prompt as text, to call `on_llm_start`.
        """
        clean = _Cleaner(without, self._secrets)
        for about in (serialized, invocation_params):
            for name, value in (about or {}).items():
                about[name] = clean(value)  # type: ignore[index]

    def on_llm_error(self, error: BaseException, *, response: LLMResult | None = None, **_: Any) -> None:
        """A model call has failed; LangChain adds the provider's response."""
        redact(error, self._secrets)
        for generations in response.generations if response else ():
            for generation in generations:
                if isinstance(generation, ChatGeneration):
                    about = generation.message.response_metadata
                    generation.message.response_metadata = _Cleaner(redacted, self._secrets)(about)

    def on_chain_error(self, error: BaseException, **_: Any) -> None:
        """Something else has failed. What only looks like a key may be an answer that somebody takes from it."""
        redact(error, self._secrets, guess=False)

    on_tool_error = on_retriever_error = on_chain_error


def hidden(data: Any, secrets: Iterable[str]) -> Any:
    """JSON, each text of it without `secrets`."""
    return _Cleaner(without, tuple(secrets))(data)


class Unspoken:
    """Takes known keys out of a text that comes in pieces: what may begin one waits for the next piece.

    Args:
        secrets: The keys.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(secrets)
        self._waiting = ""

    def more(self, text: str) -> str:
        """What can be told once `text` has come."""
        text = without(self._waiting + text, self._secrets)
        kept = begun(text, self._secrets)
        self._waiting = text[len(text) - kept :]
        return text[: len(text) - kept]

    def rest(self) -> str:
        """What still waits, at the end."""
        rest, self._waiting = self._waiting, ""
        return rest


class _Cleaner:
    """Copies texts and JSON without keys; what needs no change, or is anything else, is given back itself."""

    def __init__(self, text: Callable[[str, Iterable[str]], str], secrets: tuple[str, ...]) -> None:
        self._text, self._secrets = text, secrets
        self._inside: set[int] = set()  # where a cycle would come back to

    def __call__(self, data: Any) -> Any:
        if type(data) is str:
            return self._text(data, self._secrets)
        if type(data) is bytes:
            text = data.decode("latin-1")
            clean = self._text(text, self._secrets)
            return data if clean == text else clean.encode("latin-1")
        if not _has_parts(data) or id(data) in self._inside:
            return data
        self._inside.add(id(data))
        try:
            return self._of_parts(data)
        finally:
            self._inside.discard(id(data))

    def shown(self, data: Any) -> Any:
        """`data` without keys, as a text where an object of another kind would show one."""
        data = self(data)
        if type(data) is str:
            return data
        with _whatever_it_raises():
            if (text := self._text(shown := repr(data), self._secrets)) != shown:
                return text
        return data

    def _of_parts(self, data: Any) -> Any:
        if isinstance(data, list | tuple):
            values = [self(value) for value in data]
            return data if all(map(is_, values, data)) else type(data)(values)
        parts = data if isinstance(data, dict) else vars(data)
        changed = {name: clean for name, value in parts.items() if (clean := self(value)) is not value}
        if isinstance(data, dict) and any(self(name) is not name for name in data if type(name) is str):
            return {self(name): changed.get(name, value) for name, value in data.items()}
        if not changed:
            return data
        return {**data, **changed} if isinstance(data, dict) else data.model_copy(update=changed)


def _has_parts(data: Any) -> bool:
    # OpenRouter's client parses the bodies of errors; other pydantic objects are messages, models, the user's.
    parsed = isinstance(data, BaseModel) and type(data).__module__.startswith("openrouter.")
    return parsed or type(data) in (dict, list, tuple)

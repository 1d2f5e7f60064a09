"""`langgraph-conductor ask` and `resume`: run a conductor and show its progress on stderr."""

import asyncio
import shlex
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, StreamMode

from langgraph_conductor import Budget, text_files
from langgraph_conductor.cli.approving import answer, at_terminal, is_approval
from langgraph_conductor.cli.exits import say
from langgraph_conductor.cli.savers import Place, UnsavedError, writing
from langgraph_conductor.cli.showing import newest_run, saved_run
from langgraph_conductor.cli.tokens import answer_as_it_comes
from langgraph_conductor.config import ConductorConfig, read_conductor
from langgraph_conductor.display import event_log, live
from langgraph_conductor.display.live import Show, has_tree
from langgraph_conductor.display.retelling import retold
from langgraph_conductor.display.run_facts import INTERRUPTS
from langgraph_conductor.display.words import why
from langgraph_conductor.errors import ConductorError
from langgraph_conductor.events import Event
from langgraph_conductor.graph.accounts import usage_of

if TYPE_CHECKING:
    from rich.console import Console

_NOTE = 300


def configured(path: str | None) -> ConductorConfig:
    """What a configuration file says; without one, the embedded models."""
    if path is not None:
        return read_conductor(path)
    from langgraph_conductor import local

    return ConductorConfig("the embedded models", local.planner(), local.workers(), None, {"max_steps": 3})


def check_choice(
    config: ConductorConfig, workers: list[str] | None, exclude: list[str] | None
) -> dict[str, Any]:
    """The workers of this run, as options of it.

    Raises:
        typer.BadParameter: If one is not there, or none is left that could end a workflow.
    """
    chosen: dict[str, Any] = {}
    if workers:
        chosen["workers"] = workers
    if exclude:
        chosen["exclude"] = exclude
    try:
        config.workers.offered(**chosen)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return chosen


def limited(budget: Budget | None, usd: str | None, seconds: float | None) -> Budget | None:
    """The file's budget with the limits of this run in the place of its own.

    Raises:
        typer.BadParameter: If a limit does not fit.
    """
    limits = {name: value for name, value in (("usd", usd), ("seconds", seconds)) if value is not None}
    if not limits:
        return budget
    try:
        return Budget(**{**(asdict(budget) if budget else {}), **limits})
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def check_writable(file: Path) -> None:
    """Refuse a file that could not be written after the run.

    Raises:
        typer.BadParameter: If its folder is not there or full, or does not let it be written.
    """
    try:
        text_files.check_writable(file)
    except OSError as error:
        raise typer.BadParameter(
            f"{str(file)!r} could not be written after the run: {error}; choose another file, or make room"
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a run is kept, followed and approved.

    Args:
        place: Where it is saved, if it is.
        thread: Under which id.
        approve: Whether the person at the terminal is asked before a workflow runs.
        log: The file its events go to.
        quiet: Whether to show no progress.
        tokens: Whether to show tokens as they come.
        stdout: Whether they may go to stdout, where there is no tree of progress for them.
        failures: What could not be written while it ran; more is added.
    """

    place: Place | None = None
    thread: str = ""
    approve: bool = False
    log: Path | None = None
    quiet: bool = False
    tokens: bool = False
    stdout: bool = False
    failures: list[str] = field(default_factory=list)

    @property
    def streams(self) -> bool:
        """Whether the answer is written to stdout as it comes."""
        return self.tokens and self.stdout and not self.has_tree

    @property
    def has_tree(self) -> bool:
        """Whether progress is a tree on stderr."""
        return not self.quiet and has_tree(_console())


Build = Callable[..., CompiledStateGraph[Any, Any, Any, Any]]
"""Builds the conductor, with `checkpointer` and `approve`."""


def place_of(saver: str | None, thread: str | None) -> Place | None:
    """Where a run is saved, if it is.

    Raises:
        typer.BadParameter: If one is given without the other, or it is of no known form.
    """
    if bool(saver) != bool(thread):
        raise typer.BadParameter(
            "--saver and --thread belong together: where the run is saved, and under which name"
        )
    return Place.of(saver) if saver else None


def place_of_saver(saver: str) -> Place:
    """Where runs are to be saved, after seeing that they can be.

    Raises:
        typer.BadParameter: If it is of no known form.
        ConductorError: If nothing can be kept there.
        ImportError: If the saver's package is not installed.
    """
    place = Place.of(saver)
    if place.path and not place.path.exists():  # nothing is left behind
        check_writable(place.path)
    else:
        asyncio.run(_made(place))
    return place


def check_terminal() -> None:
    """Refuse to approve where nobody can be asked.

    Raises:
        typer.BadParameter: If stdin is no terminal.
    """
    if not at_terminal():
        raise typer.BadParameter(
            "--approve asks at the terminal, and stdin is none; in a program, give create_conductor approve=True "
            "and answer its interrupts with Command(resume=...)"
        )


def run(build: Build, question: str, options: Mapping[str, Any], manner: Manner) -> dict[str, Any]:
    """The conductor's result; its progress is shown on stderr while it runs.

    Args:
        build: Builds the conductor.
        question: What to ask it.
        options: Options of this run.
        manner: How it is kept, followed and approved.

    Raises:
        ConductorError: If the thread holds a run that is not over, or a person is to be asked and there is none.
    """
    if manner.place:
        asyncio.run(_made(manner.place))
        saved = newest_run(manner.place, manner.thread)
        if saved and not _over(saved):
            raise ConductorError(
                f"thread {manner.thread!r} holds a run that is not over; go on with it: {_go_on(manner)}; or give "
                "another --thread"
            )
    return _followed(build, {"messages": [{"role": "user", "content": question}]}, options, manner, ())


def resume(build: Build, options: Mapping[str, Any], manner: Manner) -> dict[str, Any]:
    """The result of a run that was broken off, once it has gone on to its end; see `run`.

    Raises:
        ConductorError: If there is none, or it is over, be it that it failed as a whole.
    """
    if manner.place is None:
        raise typer.BadParameter("give --saver, where the run is saved")
    saved = saved_run(manner.place, manner.thread)
    if failure := saved["failure"]:
        raise ConductorError(
            f"the run of thread {manner.thread!r} failed as a whole, and nothing of it is tried again; a new "
            f"question goes on with the thread: {_ask(manner)}; why it failed: {failure}"
        ) from failure
    if _over(saved):
        raise ConductorError(f"the run of thread {manner.thread!r} is over; `show` shows it")
    if any(is_approval(one.value) for one in saved[INTERRUPTS]):
        manner = replace(manner, approve=True)
    return _followed(build, None, options, manner, retold(saved["rounds"]))


def _over(saved: Mapping[str, Any]) -> bool:
    return bool(saved["answer"] or saved["stopped"] or saved["failure"])


async def _made(place: Place) -> None:
    async with writing(place):
        pass


def _go_on(manner: Manner) -> str:
    return (
        f"langgraph-conductor resume {shlex.quote(manner.thread)} --saver {shlex.quote(str(manner.place))}"
    )


def _ask(manner: Manner) -> str:
    thread, place = shlex.quote(manner.thread), shlex.quote(str(manner.place))
    return f"langgraph-conductor ask QUESTION --thread {thread} --saver {place}"


def _followed(
    build: Build, given: Any, options: Mapping[str, Any], manner: Manner, earlier: Iterable[Event]
) -> dict[str, Any]:
    """Run, and while it waits for the person at the terminal, ask and go on."""
    memory = InMemorySaver() if manner.approve and manner.place is None else None
    told = [*earlier]
    with ExitStack() as stack:
        shows: list[Show] = [told.append]
        if manner.log:
            write = stack.enter_context(event_log(manner.log))
            shows.append(_careful(write, f"the log {str(manner.log)!r}", manner.failures))
        if manner.streams:
            shows.append(_careful(answer_as_it_comes(_write), "stdout", manner.failures))
        while True:
            progress = nullcontext(_ignore) if manner.quiet else live(_console(), earlier=tuple(told))
            with progress as show:
                # Awaited, since workers with MCP tools have no other way, and a running call can be cancelled.
                try:
                    result = asyncio.run(
                        _run(build, given, options, manner, memory, [*shows, _careful(show, "stderr", [])])
                    )
                except KeyboardInterrupt:
                    _tell_how_to_go_on(manner)
                    raise
            if not result.get(INTERRUPTS):
                break
            try:
                given = Command(resume={one.id: _answered(one.value, manner) for one in result[INTERRUPTS]})
            except (KeyboardInterrupt, typer.Abort):  # also where the terminal was closed
                _tell_how_to_go_on(manner)
                raise
    for record in result["rounds"]:
        if error := record["plan"]["error"]:
            then = "the earlier answer was kept" if record["accepted"] else "one worker answered alone"
            say(f"note: round {record['round']} could not be planned, {then}: {why(error, _NOTE)}")
    if result["stopped"]:
        say(f"note: {result['stopped']}")
    return result


def _tell_how_to_go_on(manner: Manner) -> None:
    if manner.place:
        say(f"note: to go on: {_go_on(manner)}")


def _careful(show: Show, what: str, failures: list[str]) -> Show:
    """`show`, whose failure ends no run: it is told once, and nothing is shown after it."""
    failed = False

    def shown(event: Event) -> None:
        nonlocal failed
        if failed:
            return
        try:
            show(event)
        except BrokenPipeError:  # whoever read it has gone
            raise
        except OSError as error:
            failed = True
            failures.append(what)
            with suppress(OSError):
                say(f"warning: {what} cannot be written any more, and the run goes on without it: {error}")

    return shown


def _answered(asked: Any, manner: Manner) -> Any:
    if at_terminal():
        return answer(asked)
    then = f"at a terminal: {_go_on(manner)}" if manner.place else "ask at a terminal"
    raise ConductorError(f"the run waits for a person, and stdin is no terminal; {then}")


async def _run(
    build: Build,
    given: Any,
    options: Mapping[str, Any],
    manner: Manner,
    memory: InMemorySaver | None,
    shows: Iterable[Show],
) -> dict[str, Any]:
    heard = _Heard(shows)
    modes: list[StreamMode] = ["custom", "values"]
    try:
        async with writing(manner.place) if manner.place else nullcontext(memory) as saver:
            conductor = build(checkpointer=saver, approve=manner.approve)
            chosen = {**options, **({"tokens": True} if manner.tokens else {})}
            configurable = {"conductor": chosen, **({"thread_id": manner.thread or "ask"} if saver else {})}
            parts: AsyncIterator[Any] = conductor.astream(
                given,
                {"configurable": configurable},
                stream_mode=modes,
                durability="sync" if saver else None,
            )
            async for mode, part in parts:
                heard.hear(mode, part)
    except UnsavedError as error:
        if not heard.answer:
            raise
        manner.failures.append(str(manner.place))
        say(f"warning: the end of the run was not saved, so `show` does not know its answer: {error}")
        return heard.unsaved()
    return heard.result


class _Heard:
    """What a run tells; its answer is known from its events even where its end cannot be saved.

    Args:
        shows: Are told every event.
    """

    def __init__(self, shows: Iterable[Show]) -> None:
        self.result: dict[str, Any] = {}
        self.answer = ""
        self._shows = [*shows]
        self._end: dict[str, Any] = {}
        self._fresh = False
        """Whether `result` is of this run, and not of the one before on its thread."""

    def hear(self, mode: str, part: Any) -> None:
        """Take one part of the stream."""
        if mode == "values":
            self.result, self._fresh = part, bool(self._end or self.answer)
        elif mode == "custom":
            if part["type"] == "answer":
                self.answer = part["text"]
                self._end = {"usage": part["usage"], "stopped": part["stopped"]}
            elif part["type"] == "round_finished":
                self.answer = part["answer"] or self.answer
            for show in self._shows:
                show(part)

    def unsaved(self) -> dict[str, Any]:
        """The result, as far as it is known."""
        rounds = self.result["rounds"] if self._fresh else []
        known = {"rounds": rounds, "usage": usage_of(rounds), "stopped": "", **self._end}
        return {**self.result, **known, "answer": self.answer}


def _console() -> "Console":
    from rich.console import Console

    return Console(stderr=True)


def _write(text: str) -> None:
    typer.echo(text, nl=False)
    sys.stdout.flush()


def _ignore(_: Any) -> None:
    return None

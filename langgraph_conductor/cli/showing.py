"""`langgraph-conductor show`: the newest run of a thread, read from the checkpoints a saver kept of it."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from langgraph_conductor.display import describe
from langgraph_conductor.display.run_facts import INTERRUPTS, facts_of, verdict
from langgraph_conductor.display.words import short
from langgraph_conductor.errors import ConductorError
from langgraph_conductor.graph.accounts import usage_of
from langgraph_conductor.records import RoundRecord, StepRecord
from langgraph_conductor.state import Newest, out_channel, record_channel

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple

_SQLITE: Final = "sqlite:"
_WIDTH: Final = 400


def saved_run(saver: str, thread: str) -> dict[str, Any]:
    """The newest run of a thread, in the form of a conductor's result.

    Of an interrupted run, the last round holds the steps that are over.

    Args:
        saver: `sqlite:` and the file's path.
        thread: The thread's id.

    Raises:
        typer.BadParameter: If `saver` is not of that form, or there is no such file.
        ConductorError: If the file holds no run of a conductor on this thread.
        ImportError: If langgraph-checkpoint-sqlite is not installed.
    """
    path = saver.removeprefix(_SQLITE)
    if path == saver or not path:
        raise typer.BadParameter(f"a saver is given as sqlite:PATH, not {saver!r}")
    if not Path(path).is_file():
        raise typer.BadParameter(f"there is no file {path!r}; give the one SqliteSaver was given")
    try:
        with _opened(Path(path)) as kept:
            # Newest first, of all graphs and subgraphs of the thread.
            newest = _newest(kept.list({"configurable": {"thread_id": thread}}))
    except sqlite3.DatabaseError as error:
        raise ConductorError(f"{path} cannot be read as a file of SqliteSaver: {error}") from error
    if not newest:
        raise ConductorError(f"{path} holds no thread {thread!r}; give the thread_id the run was given")
    result = run_of(newest)
    if result is None:
        raise ConductorError(f"thread {thread!r} holds no run of a conductor")
    return result


@contextmanager
def _opened(path: Path) -> Iterator["BaseCheckpointSaver[Any]"]:
    try:
        from langgraph.checkpoint.sqlite import SqliteSaver
    except ImportError as error:
        raise ImportError(
            "reading a SQLite saver needs: pip install 'langgraph-conductor[sqlite]'"
        ) from error
    # Read only: a run that goes on meanwhile is not disturbed, and nothing is made where nothing was.
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        yield SqliteSaver(connection)


def _newest(found: Iterable["CheckpointTuple"]) -> dict[str, "CheckpointTuple"]:
    """The newest checkpoint of each namespace, the namespaces of the newest ones first.

    What is stored only where it was written (`state.Newest`) is added from the checkpoints before it.
    """
    newest: dict[str, CheckpointTuple] = {}
    before: dict[str, Any] = {}
    for one in found:
        name = one.config["configurable"]["checkpoint_ns"]
        if name not in newest:
            newest[name] = one
        elif before[name] == one.config["configurable"]["checkpoint_id"]:  # and not of another branch
            held = newest[name].checkpoint
            values = {**_values(one), **held["channel_values"]}
            newest[name] = newest[name]._replace(checkpoint={**held, "channel_values": values})
        else:
            continue
        before[name] = (one.parent_config or {}).get("configurable", {}).get("checkpoint_id")
    return newest


def run_of(newest: Mapping[str, "CheckpointTuple"]) -> dict[str, Any] | None:
    """The run that checkpoints tell of; `None` if they tell of none.

    Args:
        newest: The newest checkpoint of each namespace. The conductor may be the thread's own graph, or a part
            of it; of several parts, the outermost is shown, and of those the one saved last.
    """
    conductors = [name for name, one in newest.items() if _is_conductor(_values(one))]
    if not conductors:
        return None
    own = min(conductors, key=_depth)
    values = _values(newest[own])
    rounds = list(values["rounds"])
    writes = newest[own].pending_writes or ()
    # With `rounds` written, the round that is saved below is the last of them.
    if not any(channel == "rounds" for _, channel, _ in writes):
        rounds += _unfinished(newest, own, len(rounds))
    asked = [value for _, channel, value in writes if channel == INTERRUPTS]
    return {
        **{name: values.get(name) or "" for name in ("question", "answer", "stopped")},
        "messages": values.get("messages") or [],
        "rounds": rounds,
        "usage": values.get("usage") or usage_of(rounds),
        INTERRUPTS: [one for several in asked for one in several],
    }


def _values(saved: "CheckpointTuple") -> dict[str, Any]:
    """What its channels hold, with what was written since."""
    stored = saved.checkpoint["channel_values"]
    values = {name: Newest().from_checkpoint(value).get() for name, value in stored.items()}
    return values | {channel: value for _, channel, value in saved.pending_writes or ()}


def _is_conductor(values: Mapping[str, Any]) -> bool:
    return {"rounds", "run", "messages", "question"} <= set(values)


def _unfinished(newest: Mapping[str, "CheckpointTuple"], own: str, number: int) -> list[RoundRecord]:
    """The round that was broken off, as far as it came; none if it has no plan."""
    one_round = _child(newest, own)
    if one_round is None:
        return []
    planned = _values(newest[one_round])
    if len(planned.get("rounds") or ()) > number:  # it was over, and the conductor has not noted it yet
        return list(planned["rounds"][number:])
    if not planned.get("workflow") or not planned.get("plan"):
        return []
    flow = _child(newest, one_round)
    steps = [] if flow is None else _finished(_values(newest[flow]), len(planned["workflow"]["steps"]))
    over = len(steps) == len(planned["workflow"]["steps"])
    part: RoundRecord = {
        "round": number,
        "accepted": False,
        "workflow": planned["workflow"],
        "plan": planned["plan"],
        "steps": steps,
        "answer": next((s["text"] for s in reversed(steps) if s["text"]), "") if over else "",
        "final": bool(planned.get("final")),
        "wall_seconds": max((s["started_at"] + s["seconds"] for s in steps), default=0.0)
        - min((s["started_at"] for s in steps), default=0.0),
    }
    return [part]


def _child(newest: Mapping[str, "CheckpointTuple"], own: str) -> str | None:
    """The namespace of the graph that runs inside the newest checkpoint of `own`, and not of an earlier one."""
    at = newest[own].config["configurable"]["checkpoint_id"]
    inside = (
        name
        for name, one in newest.items()
        if name != own and one.metadata.get("parents", {}).get(own) == at and name.count("|") == _depth(own)
    )
    return next(inside, None)


def _depth(own: str) -> int:
    return own.count("|") + 1 if own else 0


def _finished(values: Mapping[str, Any], size: int) -> list[StepRecord]:
    return [
        values[record_channel(i)] | {"text": values[out_channel(i)]["text"]}
        for i in range(size)
        if values.get(record_channel(i)) and values.get(out_channel(i))
    ]


def describe_saved(result: Mapping[str, Any]) -> str:
    """A saved run as lines of plain text, of an interrupted one too.

    Args:
        result: What `saved_run` gave.
    """
    facts = facts_of(result)
    lines = [f"question: {short(facts.question, _WIDTH)}"]
    if not facts.answer:
        lines.append("state: there is no answer yet")
        lines += [f"waits for an answer to: {short(asked, _WIDTH)}" for asked in facts.waits_for]
        lines += [f"round {r['round']}: {verdict(r, facts.rounds)}" for r in facts.rounds[-1:]]
    return "\n".join([*lines, "", describe(result)])

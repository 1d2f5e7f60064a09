"""`langgraph-conductor show`: the newest run of a thread, read from the checkpoints a saver kept of it."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from langchain_core.messages import AIMessage, HumanMessage, convert_to_messages

from langgraph_conductor.cli.savers import Place, reading
from langgraph_conductor.conversation import question_of
from langgraph_conductor.display import describe
from langgraph_conductor.display.run_facts import INTERRUPTS, facts_of, verdict
from langgraph_conductor.display.words import short
from langgraph_conductor.errors import ConductorError
from langgraph_conductor.graph._langgraph import comes_next
from langgraph_conductor.graph.accounts import added_up, ended_by_budget, unanswered, usage_of
from langgraph_conductor.graph.clock import wall_seconds
from langgraph_conductor.graph.compiler import is_branch
from langgraph_conductor.graph.ledgers import check_format, own_rounds
from langgraph_conductor.graph.left import Done, Left, done_of, left_of
from langgraph_conductor.graph.workflow_node import round_without_steps
from langgraph_conductor.records import ContentBlock, RoundRecord, StepRecord

if TYPE_CHECKING:
    from langgraph.checkpoint.base import CheckpointTuple

_WIDTH: Final = 400


def saved_run(place: Place, thread: str) -> dict[str, Any]:
    """The newest run of a thread, in the form of a conductor's result.

    Of an interrupted run, the last round holds the steps that are over. `failure` is the error of one that failed
    as a whole, else `None`.

    Args:
        place: Where it is saved.
        thread: The thread's id.

    Raises:
        typer.BadParameter: If there is no such file.
        ConductorError: If the place holds no run of a conductor on this thread, or cannot be read.
        ImportError: If the saver's package is not installed.
    """
    found = newest_run(place, thread)
    if found is None:
        raise ConductorError(f"{place} holds no thread {thread!r}; give the thread_id the run was given")
    if not found:
        raise ConductorError(f"thread {thread!r} holds no run of a conductor")
    return found


def newest_run(place: Place, thread: str) -> dict[str, Any] | None:
    """As `saved_run`; `None` if there is no such thread, and empty if there is no run of a conductor on it."""
    with reading(place) as kept:
        # Newest first, of all graphs and subgraphs of the thread. Closed before its connection is.
        listed: Any = kept.list({"configurable": {"thread_id": thread}})
        with closing(listed):
            newest = _newest(listed)
        if not newest:
            return None
        result = run_of(newest)
        if result is not None:
            describe_saved(result)  # whoever goes on from it must be able to read it
        return result or {}


def _newest(found: Iterable["CheckpointTuple"]) -> dict[str, "CheckpointTuple"]:
    """The newest checkpoint of each namespace, the namespaces of the newest ones first."""
    newest: dict[str, CheckpointTuple] = {}
    for one in found:
        newest.setdefault(one.config["configurable"]["checkpoint_ns"], one)
    return newest


@dataclass(frozen=True, slots=True)
class _Found:
    """A conductor among the graphs of a thread.

    Args:
        at: The namespace of its graph: its own, or the one it was added to.
        node: The node in which its rounds run.
        prefix: What its channels begin with.
    """

    at: str
    node: str
    prefix: str

    def state(self, newest: Mapping[str, "CheckpointTuple"]) -> dict[str, Any]:
        """What it keeps, by the names of a conductor's own channels; the answer is found in the messages."""
        values = _values(newest[self.at])
        if not self.prefix:
            return values
        own = {name: values.get(f"{self.prefix}{name}") for name in ("question", "rounds", "run")}
        answers = _answers(values.get("messages") or [], self.node)
        if own["run"]:  # else they are of runs that were sent, of which their messages alone tell
            answers = answers[-1:]
        else:
            own |= {"question": _asked(values), "usage": added_up([told["usage"] for _, told in answers])}
        texts = [str(message.text) for message, told in answers if told["stopped"] != message.text]
        stopped = "; ".join(dict.fromkeys(told["stopped"] for _, told in answers if told["stopped"]))
        return {
            **own,
            "messages": values.get("messages"),
            "answer": "\n\n".join(texts),
            "stopped": stopped,
        }


def run_of(newest: Mapping[str, "CheckpointTuple"]) -> dict[str, Any] | None:
    """The run that checkpoints tell of; `None` if they tell of none.

    Args:
        newest: The newest checkpoint of each namespace. The conductor may be the thread's own graph, or a part
            of it; of several parts, the outermost is shown, and of those the one that runs, or was saved last.
    """
    conductors = [found for name, one in newest.items() for found in _conductors(name, _values(one))]
    if not conductors:
        # One that was added to a graph has no channels there in its first round, or where it was sent to.
        conductors = [_of_round(name) for name, one in newest.items() if _is_round(_values(one))]
        conductors += [found for name, one in newest.items() for found in _by_answers(name, _values(one))]
    if not conductors:
        return None
    own = min(conductors, key=lambda found: (_depth(found.at), _round(newest, found) is None))
    values = own.state(newest)
    check_format(values.get("run"))
    rounds = list(values.get("rounds") or [])
    writes = newest[own.at].pending_writes or ()
    # With `rounds` written, the round that is saved below is the last of them.
    noted = any(channel == f"{own.prefix}rounds" for _, channel, _ in writes)
    one_round = None if noted else _round(newest, own)
    if one_round is not None and "round" in (begun := _values(newest[one_round])):
        check_format(begun["run"])
        rounds = _with_unfinished(newest, one_round, rounds[: begun["round"]])
        if own.prefix:  # what the messages hold is of the run before
            values |= {"answer": "", "stopped": ""}
        if own.prefix and not begun["round"]:
            values["question"] = _asked(values)
    asked = [value for _, channel, value in writes if channel == INTERRUPTS]
    failure = None
    if not own.prefix and comes_next(newest[own.at], "answer"):
        failure = unanswered(rounds, ended_by_budget(own_rounds(values.get("run"), rounds)))
    return {
        **{name: values.get(name) or "" for name in ("question", "answer", "stopped")},
        "failure": failure,
        "messages": values.get("messages") or [],
        "rounds": rounds,
        "usage": values.get("usage") or usage_of(rounds),
        INTERRUPTS: [one for several in asked for one in several],
    }


def _values(saved: "CheckpointTuple") -> dict[str, Any]:
    """What its channels hold, with what was written since."""
    stored = saved.checkpoint["channel_values"]
    return {**stored} | {channel: value for _, channel, value in saved.pending_writes or ()}


def _conductors(name: str, values: Mapping[str, Any]) -> Iterator[_Found]:
    if {"run", "messages", "question"} <= set(values):
        yield _Found(name, "round", "")
    for channel in values:
        added = channel.removesuffix("_run")
        if added != channel and f"{added}_question" in values:
            yield _Found(name, added, f"{added}_")


def _is_round(values: Mapping[str, Any]) -> bool:
    return {"round", "run"} <= set(values) and "messages" not in values


def _of_round(name: str) -> _Found:
    at, _, last = name.rpartition("|")
    node = last.partition(":")[0]
    return _Found(at, node, f"{node}_")


def _answers(messages: Iterable[Any], name: str | None = None) -> list[tuple[AIMessage, Mapping[str, Any]]]:
    """The answers to the newest question, with their records: of the conductor `name`, or of all."""
    found: list[tuple[AIMessage, Mapping[str, Any]]] = []
    for message in reversed(convert_to_messages(list(messages))):
        if isinstance(message, HumanMessage):
            break
        told = message.response_metadata.get("conductor")
        if isinstance(message, AIMessage) and told and name in (None, message.name):
            found.append((message, told))
    return found[::-1]


def _by_answers(at: str, values: Mapping[str, Any]) -> Iterator[_Found]:
    for message, _ in _answers(values.get("messages") or []):
        yield _Found(at, message.name or "", f"{message.name}_")


def _asked(values: Mapping[str, Any]) -> list[ContentBlock]:
    """What the conversation asks, where no question is stored yet."""
    try:
        messages = convert_to_messages(values.get("messages") or [])
        while messages and not isinstance(messages[-1], HumanMessage):
            messages.pop()  # an answer that is there already is no part of it
        return question_of(messages)
    except ValueError:
        return []


def _round(newest: Mapping[str, "CheckpointTuple"], own: _Found) -> str | None:
    """The namespace of the round that a conductor runs."""
    return _child(newest, own.at, own.node)


def _with_unfinished(
    newest: Mapping[str, "CheckpointTuple"], one_round: str, rounds: list[RoundRecord]
) -> list[RoundRecord]:
    """The rounds of a run whose last one was interrupted; that one as far as it came, if it has a plan."""
    planned = _values(newest[one_round])
    if record := round_without_steps(planned):  # it is over, and the conductor has not noted it yet
        return [*rounds, record]
    if not planned.get("workflow") or not planned.get("plan"):
        return rounds
    done = _done(newest, one_round)
    steps: list[StepRecord] = [
        one["record"] | {"text": one["output"]["text"]} for one in done.steps.values()
    ]
    over = len(steps) == len(planned["workflow"]["steps"])
    part: RoundRecord = {
        "round": len(rounds),
        "accepted": False,
        "workflow": planned["workflow"],
        "plan": planned["plan"],
        "steps": steps,
        "answer": next((s["text"] for s in reversed(steps) if s["text"]), "") if over else "",
        "final": bool(planned.get("final")),
        "wall_seconds": wall_seconds(sorted(steps, key=lambda step: step["index"]), len(rounds)),
    }
    if planned.get("is_answer") is False:
        part["is_answer"] = False
    if done.calls:
        part["discarded"] = [*done.calls]
    return [*rounds, part]


def _done(newest: Mapping[str, "CheckpointTuple"], one_round: str) -> Done:
    """What is done of a round; after an edit its workflow has not begun anew yet."""
    flow = _child(newest, one_round, "workflow")
    left = Left() if flow is None else left_of(newest[flow], _with_branches(newest, flow))
    return done_of(left, _values(newest[one_round]).get("stands"))


def _with_branches(newest: Mapping[str, "CheckpointTuple"], flow: str) -> dict[str, Any]:
    """What the channels of a workflow hold, and those of its branches."""
    found = _values(newest[flow])
    for name, node in _inside(newest, flow):
        if is_branch(node):
            found |= _with_branches(newest, name)
    return found


def _child(newest: Mapping[str, "CheckpointTuple"], own: str, node: str) -> str | None:
    """The namespace of the graph that `node` runs at the newest checkpoint of `own`."""
    return next((name for name, of in _inside(newest, own) if of == node), None)


def _inside(newest: Mapping[str, "CheckpointTuple"], own: str) -> Iterator[tuple[str, str]]:
    """The graphs that run at the newest checkpoint of `own`, and not at an earlier one: namespace and node."""
    at = newest[own].config["configurable"]["checkpoint_id"]
    for name, one in newest.items():
        above, _, last = name.rpartition("|")
        if name and above == own and one.metadata.get("parents", {}).get(own) == at:
            yield name, last.partition(":")[0]


def _depth(own: str) -> int:
    return own.count("|") + 1 if own else 0


def describe_saved(result: Mapping[str, Any]) -> str:
    """A saved run as lines of plain text, of an interrupted one too.

    Args:
        result: What `saved_run` gave.
    """
    facts = facts_of(result)
    lines = [f"question: {short(facts.question, _WIDTH)}"]
    if not facts.answer:
        failed = result["failure"] and short(str(result["failure"]).replace("\n  - ", "; "), _WIDTH)
        lines.append(
            f"state: it failed as a whole: {failed}" if failed else "state: there is no answer yet"
        )
        lines += [f"waits for an answer to: {short(asked, _WIDTH)}" for asked in facts.waits_for]
        lines += [f"round {r['round']}: {verdict(r, facts.rounds)}" for r in facts.rounds[-1:]]
    return "\n".join([*lines, "", describe(result)])

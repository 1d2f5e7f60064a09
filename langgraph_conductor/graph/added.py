"""The node of a conductor that was added to a graph: which run it is entered for, and where the loop edge leads.

LangGraph enters a node in two ways. By an edge, the node reads the graph's channels, and a run that is not over is
kept in those of the conductor. By `Send`, the node is given an input of its own, several times at once if need be;
such a run travels on the loop edge, in a `Send` back to the node, and leaves the channels alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, StateGraph
from langgraph.types import Send
from pydantic import BaseModel

from langgraph_conductor.attachments import resolved
from langgraph_conductor.graph.outer_loop import OuterLoop, asks_the_same

CHANNELS: Final = ("question", "rounds", "run")
"""What is kept of a run from round to round."""
AGAIN: Final = "again"
"""Name of the conditional edge back to the node."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A run the node was entered for.

    Args:
        now: Its state, by `CHANNELS`.
        messages: The conversation, where an answer has to repeat it.
        sent: Whether it began with a `Send`.
        room: Rounds that the graph's `recursion_limit` has room for after the next one; `None` if unknown, as
            LangGraph does not tell it to what is sent.
        turns: The conversation, in which attachments of earlier turns lie.
    """

    now: Mapping[str, Any]
    messages: Sequence[Any]
    sent: bool
    room: int | None
    turns: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class AddedNode:
    """The node.

    Args:
        loop: What its conductor does around its rounds.
        name: Of the node, and what the conductor's channels begin with.
        then: The node that comes after the answer.
        builder: The graph it was added to.
        replaces: Whether `messages` has no reducer, so that what a node gives takes the place of the conversation.
    """

    loop: OuterLoop
    name: str
    then: str
    builder: StateGraph[Any, Any, Any, Any]
    replaces: bool = False

    def entered(self, state: Any, config: RunnableConfig) -> Entry:
        """The run that goes on, or a new one.

        Args:
            state: The input of the node: the graph's state, or what a `Send` holds.
            config: The config of the node.

        Raises:
            ValueError: If there is no question, what was given for this run does not fit, or an edge was drawn
                from the node that would be followed before the answer.
        """
        self._check_edges(config)
        given = _mapping(state)
        if carried := given.get(self._key("again")):
            return Entry(carried["run"], (), sent=True, room=self._room(carried["remaining"]))
        sent = self._key("run") not in given
        now = self._kept(given)
        if sent or not self._goes_on(now, given, config):
            now = self.loop.intake(given, config)
        turns = list(given.get("messages") or ())
        if sent:  # it travels without the conversation
            now = {**now, "question": resolved(now["question"], turns)}
        messages = turns if self.replaces else []
        room = self._room(given.get(self._key("remaining_steps")))
        return Entry({channel: now[channel] for channel in CHANNELS}, messages, sent, room, turns)

    def left(self, entry: Entry, now: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        """What the node writes after a round.

        Args:
            entry: The run it was entered for.
            now: The state of that run by now.
            config: The config of the node.

        Raises:
            WorkerError: If the run is over, and no worker gave an answer.
            BudgetExceededError: If none did within the budget.
        """
        update: dict[str, Any] = {self._key("sent"): {**now} if entry.sent else {}}
        if not entry.sent:
            update |= {self._key(channel): now[channel] for channel in CHANNELS}
        if self.loop.over(now, config):
            update["messages"] = [*entry.messages, *self.loop.answer(now, config)["messages"]]
        return update

    def again(self, state: Mapping[str, Any], config: RunnableConfig) -> str | Send:
        """Where the edge leads that follows the node: back to it, or on."""
        sent = state.get(self._key("sent"))
        now = sent or self._kept(state)
        if not now["rounds"] or self.loop.over(now, config):
            return self.then
        if not sent:
            return self.name
        remaining = state.get(self._key("remaining_steps"))
        carried = {"run": sent, "remaining": None if remaining is None else remaining - 1}
        return Send(self.name, {self._key("again"): carried})

    def _goes_on(self, now: Mapping[str, Any], state: Mapping[str, Any], config: RunnableConfig) -> bool:
        """Whether the run in the channels is under way, and what was asked is still the same."""
        return bool(now["rounds"]) and not self.loop.over(now, config) and asks_the_same(now["run"], state)

    def _check_edges(self, config: RunnableConfig) -> None:
        """Refuse edges from the node beside its own: LangGraph follows them after every round.

        They can be drawn after the conductor was added, so they are looked for when it runs.
        """
        if self.loop.options.over(config).max_rounds == 1:  # the first round is the last
            return
        drawn = [*(_edges(self.builder, self.name) - {END})]
        drawn += [f"{name}(...)" for name in self.builder.branches[self.name] if name != AGAIN]
        if drawn:
            raise ValueError(
                f"there are edges from {self.name!r} to {sorted(drawn)} beside its own, and LangGraph would "
                "follow them after every round, before there is an answer; name the node that comes next (one "
                "that only routes, if there are several) in add_conductor(..., then=...), and draw no edge"
            )

    def _room(self, remaining: int | None) -> int | None:
        """The supersteps beside those for what comes after; the last one is none."""
        return None if remaining is None else remaining - 1 - steps_to_end(self.builder, self.then)

    def _kept(self, state: Mapping[str, Any]) -> dict[str, Any]:
        return {channel: state.get(self._key(channel)) for channel in CHANNELS}

    def _key(self, channel: str) -> str:
        return f"{self.name}_{channel}"


def steps_to_end(builder: StateGraph[Any, Any, Any, Any], name: str) -> int:
    """Supersteps of the shortest way from a node to the end, the node included.

    Where a way is not declared (`Command(goto=...)`, a choice without `path_map`), the end may come next.

    Args:
        builder: The graph.
        name: The node, or `END`.
    """
    reached, seen, steps = {name}, set[str](), 0
    while reached and END not in reached:
        seen |= reached
        ways = [_ways(builder, one) for one in reached]
        steps += 1
        reached = set().union(*ways) - seen if all(ways) else set()
    return steps


def _ways(builder: StateGraph[Any, Any, Any, Any], name: str) -> set[str]:
    """Where a node is known to lead; nothing if that is unknown, or nowhere."""
    ways = _edges(builder, name)
    for branch in builder.branches.get(name, {}).values():
        if branch.ends is None:
            return set()
        ways |= {*branch.ends.values()}
    if name in builder.nodes:
        ways |= {*(builder.nodes[name].ends or ())}
    return ways


def _edges(builder: StateGraph[Any, Any, Any, Any], name: str) -> set[str]:
    """Where the edges of a node lead that are always followed."""
    joined = {end for starts, end in builder.waiting_edges if name in starts}
    return joined | {end for start, end in builder.edges if start == name}


def _mapping(state: Any) -> Mapping[str, Any]:
    """A state in any form that LangGraph takes, a single message as the list that a reducer makes of it."""
    if isinstance(state, BaseModel):
        given = {name: getattr(state, name) for name in type(state).model_fields}
    elif is_dataclass(state):
        given = {field.name: getattr(state, field.name) for field in fields(state)}
    else:
        given = dict(state) if isinstance(state, Mapping) else {"messages": state}
    messages = given.get("messages")
    return given if messages is None or isinstance(messages, list) else {**given, "messages": [messages]}

"""What workers say is long, and is stored where it was written, not again with every superstep that follows."""

import sqlite3
from contextlib import closing

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.errors import InvalidUpdateError
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from langgraph_conductor import Worker, add_conductor, create_conductor
from langgraph_conductor.errors import SavedRunError
from langgraph_conductor.state import Newest
from tests.helpers import Recorder, ScriptedPlanner, ask, flow, thread

CHAIN = flow(("a", "One.", []), ("a", "Two.", "all"), ("a", "Three.", "all"), ("a", "Four.", "all"))


def said(task):
    return f"said-by-{task.round}-{task.index}"


def test_an_output_is_stored_three_times_however_long_the_chain(tmp_path):
    with closing(sqlite3.connect(tmp_path / "runs", check_same_thread=False)) as connection:
        saver = SqliteSaver(connection)
        conductor = create_conductor(ScriptedPlanner(CHAIN), [Worker("a", said)], checkpointer=saver)
        conductor.invoke(ask(), thread(), durability="sync")
        stored = connection.execute("SELECT checkpoint FROM checkpoints UNION ALL SELECT value FROM writes")
        blobs = [blob for (blob,) in stored if blob]
    # By its step, by its round, and by the conductor.
    assert [sum(b"said-by-0-%d" % step in blob for blob in blobs) for step in range(3)] == [3, 3, 3]


def test_what_a_step_has_not_said_yet_is_not_there():
    def work(task):
        return interrupt("?") if task.index == 2 else said(task)

    conductor = create_conductor(ScriptedPlanner(CHAIN), [Worker("a", work)], checkpointer=InMemorySaver())
    conductor.invoke(ask(), thread(), durability="sync")
    workflow = conductor.get_state(thread(), subgraphs=True).tasks[0].state.tasks[0].state
    assert workflow.values["out_1"]["text"] == "said-by-0-1"
    assert "out_2" not in workflow.values


def test_a_run_is_taken_up_again_at_an_earlier_round():
    asked = Recorder(reply=said)
    conductor = create_conductor(
        ScriptedPlanner(CHAIN), [Worker("a", asked)], max_rounds=3, checkpointer=InMemorySaver()
    )
    conductor.invoke(ask(), thread(), durability="sync")
    history = list(conductor.get_state_history(thread()))
    before = {len(state.values["rounds"]): state for state in history if state.next == ("round",)}
    asked.tasks.clear()
    for rounds, state in before.items():
        assert [record["round"] for record in state.values["rounds"]] == list(range(rounds))
    result = conductor.invoke(None, before[2].config, durability="sync")
    assert [[step["text"] for step in record["steps"]] for record in result["rounds"]] == [
        [f"said-by-{number}-{step}" for step in range(4)] for number in range(3)
    ]
    assert {task.round for task in asked.tasks} == {2}


def test_a_state_that_was_changed_from_outside_is_gone_on_with():
    conductor = create_conductor(
        ScriptedPlanner(CHAIN), [Worker("a", said)], max_rounds=2, checkpointer=InMemorySaver()
    )
    conductor.invoke(ask(), thread(), interrupt_after=["round"], durability="sync")
    (record,) = conductor.get_state(thread()).values["rounds"]
    conductor.update_state(thread(), {"rounds": [record | {"answer": "changed"}]}, as_node="round")
    assert conductor.get_state(thread()).values["rounds"][0]["answer"] == "changed"
    result = conductor.invoke(None, thread(), durability="sync")
    assert [record["answer"] for record in result["rounds"]] == ["changed", "said-by-1-3"]


class OnlyNewest(InMemorySaver):
    """A saver that keeps no older checkpoints."""

    def get_delta_channel_history(self, *, config, channels):
        return {channel: {"writes": []} for channel in channels}

    async def aget_delta_channel_history(self, *, config, channels):
        return self.get_delta_channel_history(config=config, channels=channels)


@pytest.mark.parametrize("rounds", [0, 1])
@pytest.mark.parametrize("added", [False, True], ids=["own", "added"])
def test_a_saver_that_has_lost_part_of_a_run_is_refused(run, added, rounds):
    def work(task):
        return interrupt("?") if task.round == rounds and task.index == 2 else said(task)

    options = {"max_rounds": 2}
    if added:
        builder = StateGraph(MessagesState)
        add_conductor(builder, ScriptedPlanner(CHAIN), [Worker("a", work)], **options)
        builder.add_edge(START, "conductor")
        graph = builder.compile(checkpointer=OnlyNewest())
    else:
        graph = create_conductor(
            ScriptedPlanner(CHAIN), [Worker("a", work)], checkpointer=OnlyNewest(), **options
        )
    run(graph, ask(), thread(), durability="sync")
    with pytest.raises(
        SavedRunError, match="cannot be read back: the saver keeps only the newest checkpoint"
    ):
        run(graph, Command(resume="x"), thread(), durability="sync")


def test_a_channel_has_one_writer():
    channel = Newest(typ=dict)
    channel.key = "out_0"
    with pytest.raises(InvalidUpdateError, match="'out_0' has one writer"):
        channel.update([{}, {}])
    assert channel.update([{"text": "x"}])
    assert channel.copy().get() == {"text": "x"}

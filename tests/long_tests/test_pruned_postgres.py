"""Threads in PostgreSQL that are pruned, or of which only the newest checkpoints are kept."""

import re
import warnings

import psycopg
import pytest
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.types import Command, interrupt

from langgraph_conductor import Worker
from tests import places
from tests.helpers import ScriptedPlanner, ask, flow, thread

CHAIN = flow(("a", "One.", []), ("a", "Two.", [0]))
FORMS = ("plain", "subgraph", "added")


def said(result):
    return [message.text for message in result["messages"]]


def app_of(form, saver, planner, waits_in=None):
    def work(task):
        if task.round == waits_in and task.index == 1:
            return f"{task.inputs[0].text}, {interrupt('?')}"
        return f"said {task.round}-{task.index}"

    rounds = 1 if waits_in is None else waits_in + 1
    return getattr(places, form)(saver, planner, [Worker("a", work)], max_rounds=rounds)


@pytest.mark.parametrize("form", FORMS)
def test_a_pruned_thread_goes_on(postgres, form):
    with PostgresSaver.from_conn_string(postgres) as saver:
        saver.setup()
        where = thread(f"pruned-{form}")
        app = app_of(form, saver, ScriptedPlanner(CHAIN))
        app.invoke(ask("one"), where)
        saver.prune([where["configurable"]["thread_id"]], strategy="keep_latest")
        assert app.get_state(where).next == ()
        assert said(app.invoke(ask("two"), where)) == ["one", "said 0-1", "two", "said 0-1"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("waits_in", [0, 1])
def test_a_run_that_waits_survives_pruning(postgres, form, waits_in):
    with PostgresSaver.from_conn_string(postgres) as saver:
        saver.setup()
        where, planner = thread(f"waiting-{form}-{waits_in}"), ScriptedPlanner(CHAIN)
        app = app_of(form, saver, planner, waits_in)
        app.invoke(ask("one"), where, durability="sync")
        saver.prune([where["configurable"]["thread_id"]], strategy="keep_latest")
        assert len(app.get_state(where).interrupts) == 1
        result = app.invoke(Command(resume="yes"), where, durability="sync")
        assert said(result)[-1] == f"said {waits_in}-0, yes"
        assert len(planner.requests) == waits_in + 1


@pytest.mark.parametrize("form", FORMS)
def test_a_saver_that_keeps_the_newest_checkpoint_alone_will_do(postgres, form):
    own = re.sub(
        r"/[^/?]*($|\?)", rf"/shallow_{form}\1", postgres
    )  # its tables are others under the same names
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE shallow_{form}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from langgraph.checkpoint.postgres.shallow import ShallowPostgresSaver

        with ShallowPostgresSaver.from_conn_string(own) as saver:
            saver.setup()
            where, planner = thread(f"shallow-{form}"), ScriptedPlanner(CHAIN)
            app = app_of(form, saver, planner, 1)
            for text in ("one", "two"):
                app.invoke(ask(text), where, durability="sync")
                assert (
                    said(app.invoke(Command(resume=text), where, durability="sync"))[-1]
                    == f"said 1-0, {text}"
                )
            assert len(planner.requests) == 4

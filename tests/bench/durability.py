"""What saving costs: stored bytes, the age of a thread, the time to resume, and many conductors at once over PostgreSQL.

Kills are counted by `python -m tests.long_tests.kills_bench`.
"""

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import psutil
import psycopg
from langchain_core.messages import AIMessage, AnyMessage
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from typing_extensions import TypedDict

from langgraph_conductor import Step, Worker, Workflow, add_conductor, create_conductor
from langgraph_conductor.planners import fixed
from tests.helpers import ask, thread
from tests.long_tests.postgres import running_postgres

STEPS, SIZE = 5, 20_000
BYTES_LIMIT = 2.0
TURNS, TURN_LIMIT, STATE_LIMIT = 100, 1.5, 3.0

SECONDS, STOPPED_AT = 1.0, 2
RESUME_LIMIT = 1.2

RUNS, CONNECTIONS = 200, 20

CHAIN = Workflow(tuple(Step("w", f"Do part {i}.", "all" if i else ()) for i in range(STEPS)))
"""Every step reads all before it."""

_SQLITE = (
    "SELECT sum(length(checkpoint) + length(metadata)) FROM checkpoints",
    "SELECT sum(length(value)) FROM writes",
)
_POSTGRES = (
    "SELECT sum(octet_length(checkpoint::text) + octet_length(metadata::text)) FROM checkpoints",
    "SELECT sum(octet_length(blob)) FROM checkpoint_blobs",
    "SELECT sum(octet_length(blob)) FROM checkpoint_writes",
)


def by_hand(saver: Any) -> Any:
    """The same chain as a graph written by hand: it stores what each step says, the answer and the message."""

    def step(index: int) -> Any:
        return lambda state: {f"out_{index}": {"text": str(index) * SIZE}}

    def answer(state: dict[str, Any]) -> dict[str, Any]:
        said = state[f"out_{STEPS - 1}"]["text"]
        return {"answer": said, "messages": [AIMessage(said)]}

    make: Any = TypedDict
    outputs = {
        f"out_{index}": dict for index in range(STEPS)
    }  # PostgreSQL stores each once, as it does ours
    messages = Annotated[list[AnyMessage], add_messages]
    builder = StateGraph(make("ByHand", {"messages": messages, "answer": str, **outputs}))
    builder.add_sequence([*((f"step_{i}", step(i)) for i in range(STEPS)), ("answer", answer)])
    builder.add_edge(START, "step_0")
    return builder.compile(checkpointer=saver)


def stored_bytes(postgres: str) -> dict[str, float]:
    """Bytes a conductor stores over those a graph written by hand stores, by saver."""

    def conductor(saver: Any) -> Any:
        worker = Worker("w", lambda task: str(task.index) * SIZE)
        return create_conductor(fixed.workflow(CHAIN), [worker], checkpointer=saver)

    return {
        "SQLite": _in_sqlite(conductor) / _in_sqlite(by_hand),
        "PostgreSQL": _in_postgres(postgres, conductor) / _in_postgres(postgres, by_hand),
    }


def _in_sqlite(make: Callable[[Any], Any]) -> int:
    with closing(sqlite3.connect(":memory:", check_same_thread=False)) as connection:
        make(SqliteSaver(connection)).invoke(ask(), thread(), durability="sync")
        return sum(connection.execute(asked).fetchone()[0] for asked in _SQLITE)


def _in_postgres(postgres: str, make: Callable[[Any], Any]) -> int:
    where = thread(make.__name__)
    with PostgresSaver.from_conn_string(postgres) as saver:
        saver.setup()
        make(saver).invoke(ask(), where, durability="sync")
    with psycopg.connect(postgres) as connection:
        named = [where["configurable"]["thread_id"]]
        found = [
            connection.execute(f"{asked} WHERE thread_id = %s", named).fetchone() for asked in _POSTGRES
        ]
    return sum(int((row or [0])[0]) for row in found)


def long_thread(saver: Any) -> tuple[float, float]:
    """Of a thread of 100 turns: turn 100 over turn 5, and its `get_state` over that of a plain node.

    Each is the least of five turns around it, so that a busy machine counts little.
    """

    def app(add: Callable[[StateGraph[Any]], Any]) -> Any:
        builder = StateGraph(MessagesState)
        add(builder)
        builder.add_edge(START, "conductor")
        return builder.compile(checkpointer=saver)

    def plain(state: Any) -> Any:
        return {"messages": [AIMessage("said " * 20)]}

    worker = Worker("w", lambda task: "said " * 20)
    ours = app(lambda builder: add_conductor(builder, fixed.single("w"), [worker]))
    theirs = app(lambda builder: builder.add_node("conductor", plain))
    reads = []
    turns: list[float] = []
    for graph, name in ((theirs, "plain"), (ours, "ours")):
        turns = [_seconds(lambda g=graph, n=name: g.invoke(ask(), thread(n))) for _ in range(TURNS)]
        reads.append(min(_seconds(lambda g=graph, n=name: g.get_state(thread(n))) for _ in range(9)))
    return min(turns[-5:]) / min(turns[4:9]), reads[1] / reads[0]


def aged_threads(postgres: str) -> dict[str, tuple[float, float]]:
    """`long_thread` by saver."""
    with closing(sqlite3.connect(":memory:", check_same_thread=False)) as connection:
        found = {"SQLite": long_thread(SqliteSaver(connection))}
    with PostgresSaver.from_conn_string(postgres) as saver:
        saver.setup()
        found["PostgreSQL"] = long_thread(saver)
    return found


def _seconds(call: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def resume_ratio() -> float:
    """Time to finish a run that was stopped, over the time its remaining steps take."""
    broken = [True]

    def work(task: Any) -> str:
        if broken and task.index == STOPPED_AT:
            raise ConnectionError("stopped")
        time.sleep(SECONDS)
        return "done"

    def conductor(connection: sqlite3.Connection) -> Any:
        workers = [Worker("w", work, retries=0)]
        options: dict[str, Any] = {"on_step_error": "raise", "checkpointer": SqliteSaver(connection)}
        return create_conductor(fixed.workflow(CHAIN), workers, **options)

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "runs.sqlite"
        with closing(sqlite3.connect(path, check_same_thread=False)) as connection:
            try:
                conductor(connection).invoke(ask(), thread(), durability="sync")
            except Exception:
                broken.clear()
        with closing(sqlite3.connect(path, check_same_thread=False)) as connection:
            fresh = conductor(connection)
            begin = time.perf_counter()
            fresh.invoke(None, thread(), durability="sync")
            took = time.perf_counter() - begin
    return took / ((STEPS - STOPPED_AT) * SECONDS)


async def at_once(postgres: str, runs: int = RUNS) -> tuple[int, float, float]:
    """Many conductors at once in one process: how many were lost, megabytes per run, seconds."""

    async def work(task: Any) -> str:
        await asyncio.sleep(0.05)
        return f"{task.question[0]['text']}-{task.index}"

    async def run(number: int, saver: Any) -> bool:
        conductor = create_conductor(fixed.workflow(CHAIN), [Worker("w", work)], checkpointer=saver)
        where = thread(f"run-{number}")
        result = await conductor.ainvoke(ask(f"q{number}"), where, durability="sync")
        kept = (await conductor.aget_state(where)).values
        return result["answer"] == kept["answer"] == f"q{number}-{STEPS - 1}" and len(kept["rounds"]) == 1

    options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    async with AsyncConnectionPool(
        postgres, min_size=1, max_size=CONNECTIONS, kwargs=options, timeout=300, open=False
    ) as pool:
        saver = AsyncPostgresSaver(pool)  # type: ignore[arg-type]
        await saver.setup()
        await run(runs, saver)  # what is loaded once
        process = psutil.Process()
        before = highest = process.memory_info().rss
        begin = time.perf_counter()
        tasks = [asyncio.ensure_future(run(number, saver)) for number in range(runs)]
        gathered = asyncio.gather(*tasks, return_exceptions=True)
        while not gathered.done():
            await asyncio.wait({gathered}, timeout=0.05)
            highest = max(highest, process.memory_info().rss)
        took = time.perf_counter() - begin
    good = [found for found in gathered.result() if found is True]
    return runs - len(good), (highest - before) / 1e6 / runs, took


async def main() -> bool:
    print("durability: what saving costs")
    with running_postgres() as postgres:
        stored = await asyncio.to_thread(stored_bytes, postgres)
        for name, value in stored.items():
            print(
                f"  stored bytes over a hand-built graph's, {STEPS}-step chain, {name}: {value:.2f}  (limit {BYTES_LIMIT})"
            )
        aged = await asyncio.to_thread(aged_threads, postgres)
        for name, (turn, read) in aged.items():
            print(f"  turn {TURNS} of a thread over turn 5, {name}: {turn:.2f}  (limit {TURN_LIMIT}); "
                  f"get_state of it over a plain node's: {read:.2f}  (limit {STATE_LIMIT})")  # fmt: skip
        ratio = await asyncio.to_thread(resume_ratio)
        print(f"  resume over the time of the remaining steps: {ratio:.2f}  (limit {RESUME_LIMIT})")
        lost, megabytes, seconds = await at_once(postgres)
        print(f"  {RUNS} conductors at once over PostgreSQL: {lost} lost  (limit 0), "
              f"{megabytes:.2f} MB a run at the peak, {seconds:.1f} s in all")  # fmt: skip
    young = all(turn <= TURN_LIMIT and read <= STATE_LIMIT for turn, read in aged.values())
    return young and max(stored.values()) <= BYTES_LIMIT and ratio <= RESUME_LIMIT and not lost


if __name__ == "__main__":
    raise SystemExit(0 if asyncio.run(main()) else 1)

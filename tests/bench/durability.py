"""What saving costs: stored bytes, the time to resume, and many conductors at once over PostgreSQL.

Kills are counted by `python -m tests.long_tests.kills_bench`.
"""

import asyncio
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import psycopg
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from langgraph_conductor import Step, Worker, Workflow, create_conductor
from langgraph_conductor.planners import fixed
from tests.helpers import ask, thread
from tests.long_tests.postgres import running_postgres

STEPS, SIZE = 5, 20_000
BYTES_LIMIT = 4.5

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


def stored_bytes(postgres: str) -> dict[str, float]:
    """Bytes stored per byte of output, by saver."""
    worker = Worker("w", lambda task: str(task.index) * SIZE)

    def run(saver: Any) -> None:
        create_conductor(fixed.workflow(CHAIN), [worker], checkpointer=saver).invoke(
            ask(), thread("bytes"), durability="sync"
        )

    with closing(sqlite3.connect(":memory:", check_same_thread=False)) as connection:
        run(SqliteSaver(connection))
        in_sqlite = sum(connection.execute(asked).fetchone()[0] for asked in _SQLITE)
    with PostgresSaver.from_conn_string(postgres) as saver:
        saver.setup()
        run(saver)
    with psycopg.connect(postgres) as connection:
        in_postgres = sum(int((connection.execute(asked).fetchone() or [0])[0]) for asked in _POSTGRES)
    return {"SQLite": in_sqlite / (STEPS * SIZE), "PostgreSQL": in_postgres / (STEPS * SIZE)}


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
                f"  stored bytes per byte of output, {STEPS}-step full-access chain, {name}: {value:.2f}  (limit {BYTES_LIMIT})"
            )
        ratio = await asyncio.to_thread(resume_ratio)
        print(f"  resume over the time of the remaining steps: {ratio:.2f}  (limit {RESUME_LIMIT})")
        lost, megabytes, seconds = await at_once(postgres)
        print(f"  {RUNS} conductors at once over PostgreSQL: {lost} lost  (limit 0), "
              f"{megabytes:.2f} MB a run at the peak, {seconds:.1f} s in all")  # fmt: skip
    return max(stored.values()) <= BYTES_LIMIT and ratio <= RESUME_LIMIT and not lost


if __name__ == "__main__":
    raise SystemExit(0 if asyncio.run(main()) else 1)

"""Makes the checkpoints that later versions must be able to resume: `python -m tests.make_checkpoint FOLDER`.

Three runs in one SQLite file, all left in their second round: of a conductor one that waits for a person and one whose process
was killed, and of a conductor that was added to a graph one that waits.
A version that stores something else gets a folder of its own in `tests/fixtures`; those of earlier ones stay as they are.
"""

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt

from langgraph_conductor import Worker, WorkerTask, add_conductor, create_conductor
from tests.helpers import ScriptedPlanner, ask, flow, thread

WAITING, KILLED, ADDED = "waiting", "killed", "added"
QUESTION = "Which colour has the tower?"
PLANS = (
    flow(("look", "Look at the tower.", []), ("say", "Say its colour.", [0])),
    flow(
        ("look", "Look at the tower again.", []),
        ("person", "Ask a person.", [0]),
        ("say", "Decide.", "all"),
    ),
)
PACKAGES = ("langgraph", "langgraph-checkpoint", "langgraph-checkpoint-sqlite")


def conductor(
    saver: Any, called: list[str], person: Callable[[WorkerTask], str], *, added: bool = False
) -> Any:
    """The conductor whose runs are stored.

    Args:
        saver: Where.
        called: Takes the subtask of every call.
        person: The worker that is asked in the second round.
        added: Whether it is a node of another graph.
    """

    def worker(say: Callable[[WorkerTask], str]) -> Callable[[WorkerTask], str]:
        def work(task: WorkerTask) -> str:
            called.append(task.subtask)
            return say(task)

        return work

    workers = [
        Worker("look", worker(lambda task: f"seen in round {task.round}")),
        Worker("say", worker(lambda task: " and ".join(given.text for given in task.inputs))),
        Worker("person", worker(person)),
    ]
    planner = ScriptedPlanner(*PLANS)
    if not added:
        return create_conductor(planner, workers, max_rounds=2, checkpointer=saver)
    builder = StateGraph(MessagesState)
    add_conductor(builder, planner, workers, max_rounds=2)
    builder.add_edge(START, "conductor")
    return builder.compile(checkpointer=saver)


def main(folder: Path) -> None:
    """Make them.

    Args:
        folder: Where; it must not be there yet.
    """
    folder.mkdir(parents=True)
    path = folder / "runs.sqlite"

    def run(name: str, person: Callable[[WorkerTask], str]) -> None:
        with closing(sqlite3.connect(path, check_same_thread=False)) as connection:
            graph = conductor(SqliteSaver(connection), [], person, added=name == ADDED)
            graph.invoke(ask(QUESTION), thread(name), durability="sync")

    def killed(task: WorkerTask) -> str:
        os.kill(os.getpid(), signal.SIGKILL)
        return ""

    for name in (WAITING, ADDED):
        run(name, lambda task: interrupt("Which colour do you see?"))
    if not (process := os.fork()):
        run(KILLED, killed)
    os.waitpid(process, 0)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM")  # and closing it leaves one file
    made_with = {name: version(name) for name in PACKAGES}
    (folder / "made_with.json").write_text(json.dumps(made_with, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

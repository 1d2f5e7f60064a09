"""What the tests have served beside the example: a conductor that talks, and one that takes its time."""

import asyncio
from pathlib import Path

from langgraph_conductor import Worker, create_conductor
from langgraph_conductor.testing import ScriptedModel, plan_text

HERE = Path(__file__).parent

talk = create_conductor(
    ScriptedModel(replies=[plan_text(("drafter", "Draft it.", []), ("writer", "Write it.", [0]))]),
    [
        Worker("drafter", ScriptedModel(replies=["one two"])),
        Worker("writer", ScriptedModel(replies=["the whole answer"])),
    ],
)


def note(what):
    with (HERE / "notes").open("a") as notes:
        notes.write(f"{what}\n")


async def first(task):
    note("first")
    return "done first"


async def patient(task):
    """Waits until a file is there."""
    note("begun")
    try:
        while not (HERE / "go").exists():
            await asyncio.sleep(0.1)
    except asyncio.CancelledError:
        note("cancelled")
        raise
    return f"{task.inputs[0].text}, and waited"


slow = create_conductor(
    ScriptedModel(replies=[plan_text(("first", "Begin.", []), ("patient", "Wait.", [0]))]),
    [Worker("first", first), Worker("patient", patient)],
)

"""The events of a run in a file: a JSON object on each line."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from langgraph_conductor.events import Event


@contextmanager
def event_log(path: str | PathLike[str]) -> Iterator[Callable[[Event], None]]:
    """Write events to a file while a run goes on, each at once, as a line of JSON after those that are there.

    Args:
        path: The file; it is made if it is not there.

    Yields:
        What is to be told every event of the run.

    Raises:
        OSError: If the file cannot be written.

    Example:
        ```python
        import tempfile

        from langgraph_conductor import Worker, create_conductor
        from langgraph_conductor.display import event_log
        from langgraph_conductor.planners import fixed

        conductor = create_conductor(fixed.single("echo"), [Worker("echo", lambda task: task.subtask)])
        question = {"messages": [{"role": "user", "content": "Hello?"}]}
        with tempfile.TemporaryDirectory() as folder, event_log(f"{folder}/run.jsonl") as write:
            for event in conductor.stream(question, stream_mode="custom"):
                write(event)
        ```
    """
    with Path(path).open("a", encoding="ascii", newline="\n") as file:

        def write(event: Event) -> None:
            file.write(json.dumps(event) + "\n")
            file.flush()

        yield write

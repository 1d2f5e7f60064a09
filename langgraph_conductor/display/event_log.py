"""The events of a run in a file: a JSON object on each line."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike

from langgraph_conductor.events import Event
from langgraph_conductor.text_files import open_private


@contextmanager
def event_log(path: str | PathLike[str]) -> Iterator[Callable[[Event], None]]:
    """Write events to a file while a run goes on, each at once, as a line of JSON after those that are there.

    Args:
        path: The file; it is made if it is not there, for its owner alone.

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
    with open_private(
        path, "ab"
    ) as file:  # unbuffered: what fails once is not tried again when it is closed

        def write(event: Event) -> None:
            line = memoryview(f"{json.dumps(event)}\n".encode("ascii"))
            while line:
                line = line[file.write(line) :]

        yield write

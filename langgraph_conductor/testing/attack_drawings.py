"""What a run looks like wherever it is shown: on a terminal, as JSON, page or chart, as an app prints it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any, TypeVar

from langgraph_conductor.display import describe, run_page
from langgraph_conductor.display.progress import Progress
from langgraph_conductor.foreign_text import json_of
from langgraph_conductor.workflow import Workflow

if TYPE_CHECKING:
    from rich.console import Console

Printer = Callable[[Mapping[str, Any]], str]
"""Makes a text of what a conductor returned, as an app prints it."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Drawings:
    """What a turn looks like.

    Args:
        lines: The lines of its events.
        trees: The tree of the run, as it is drawn while models speak and when the run is over.
        told: Its description.
        as_json: The JSON of its answer, rounds and use.
        page: Its page.
        charts: The Mermaid chart of each workflow.
        printed: What the app's own printers make of it.
        seconds: What drawing each took of the processor.
    """

    lines: str
    trees: str
    told: str
    as_json: str
    page: str
    charts: list[str]
    printed: list[str]
    seconds: Mapping[str, float]

    @property
    def terminal(self) -> list[str]:
        """All that is for a terminal."""
        return [self.lines, self.trees, self.told, self.as_json]


def drawings(
    result: Mapping[str, Any], events: Sequence[Any], printers: Sequence[Printer] = ()
) -> Drawings:
    """What a turn looks like.

    Args:
        result: What the conductor returned.
        events: What it told while it ran.
        printers: The app's own.
    """
    seconds: dict[str, float] = {}
    workflows = [Workflow.from_json(one["workflow"]) for one in result["rounds"] if one["workflow"]]
    shown = {key: result[key] for key in ("answer", "rounds", "usage")}
    return Drawings(
        lines=timed(seconds, "terminal", lambda: _lines(events)),
        trees=timed(seconds, "terminal", lambda: _trees(events)),
        told=timed(seconds, "terminal", lambda: describe(result)),
        as_json=timed(seconds, "terminal", lambda: json_of(shown, indent=2)),
        page=timed(seconds, "page", lambda: run_page(result)),
        charts=timed(seconds, "chart", lambda: [workflow.to_mermaid() for workflow in workflows]),
        printed=timed(seconds, "printed", lambda: [printer(result) for printer in printers]),
        seconds=seconds,
    )


def timed(seconds: dict[str, float], part: str, call: Callable[[], _T]) -> _T:
    """What `call` gives; what it took of the processor, in all threads, is added to `seconds`."""
    begun = time.process_time()
    given = call()
    seconds[part] = seconds.get(part, 0.0) + time.process_time() - begun
    return given


def _lines(events: Sequence[Any]) -> str:
    """What a terminal without a tree shows."""
    from rich.console import Console

    from langgraph_conductor.display.live import live

    told = StringIO()
    with live(Console(file=told, color_system=None, force_terminal=False)) as show:
        for event in events:
            show(event)
    return told.getvalue()


def _trees(events: Sequence[Any]) -> str:
    """The tree as it was last drawn before each step or tool was over, and at the end.

    What a step said is shown as it is where tokens are told of, just before it is over.
    """
    from rich.console import Console

    drawn = StringIO()
    console = Console(file=drawn, width=100, color_system=None)
    progress = Progress(began=0.0)
    for event in events:
        if event["type"] == "step_finished":
            token: Any = {**event, "type": "token"}
            _draw(console, progress.after(token, 0.0), over=False)
        elif event["type"] == "tool_finished":
            _draw(console, progress, over=False)
        progress = progress.after(event, 0.0)
    _draw(console, progress, over=True)
    return drawn.getvalue()


def _draw(console: "Console", progress: Progress, *, over: bool) -> None:
    from langgraph_conductor.display.live import tree

    console.print(tree(progress, 0.0, over=over))

"""A run on a terminal while it goes on: a tree that is drawn anew several times a second. Needs `rich`."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from langgraph_conductor.display.progress import Progress, RoundProgress, StepProgress, line
from langgraph_conductor.display.words import money, printable, short, spent, tokens
from langgraph_conductor.events import Event

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.text import Text
    from rich.tree import Tree

Show = Callable[[Event], None]
"""Is told every event of a run."""

_MARKS: Final = {"waiting": "·", "running": "●", "done": "✓", "failed": "✗"}
_ASCII: Final = {"waiting": ".", "running": "*", "done": "+", "failed": "x"}
_STYLES: Final = {"waiting": "dim", "running": "yellow", "done": "green", "failed": "red"}
_SUBTASK: Final = 60
_NOTE: Final = 200


def tree(progress: Progress, now: float, *, over: bool = False, ascii_only: bool = False) -> "Tree":
    """The run as a tree: rounds one under the other, in each the planner and the steps.

    Args:
        progress: The run so far.
        now: The clock of `progress`, in seconds.
        over: Whether the run is over.
        ascii_only: Whether the terminal can show nothing else.
    """
    from rich.text import Text
    from rich.tree import Tree

    marks = _ASCII if ascii_only else _MARKS
    used = progress.usage
    total = ", ".join(part for part in (tokens(used), money(used)) if part) if used.calls else ""
    root = Tree(Text().append("conductor", "bold").append(f"  {total}", "dim"))
    for number, part in enumerate(progress.rounds):
        branch = root.add(f"round {number}")
        branch.add(_planner(part, marks))
        for index, step in enumerate(part.steps):
            branch.add(_step(index, step, now, marks))
    if progress.planning and not over:
        planning = _marked("running", f"planner: running, {now - progress.began:.1f} s", marks)
        root.add(f"round {len(progress.rounds)}").add(planning)
    return root


def _planner(part: RoundProgress, marks: dict[str, str]) -> "Text":
    what = "the earlier answer is kept, " if part.accepted else ""
    cost = f", {spent(part.usage, part.seconds)}" if part.usage.calls else ""
    text = _marked("failed" if part.failure else "done", f"planner: {what}{part.planned}{cost}", marks)
    return text.append(f"\n{part.failure}", "red") if part.failure else text


def _step(index: int, step: StepProgress, now: float, marks: dict[str, str]) -> "Text":
    text = _marked(step.state, f"step {index}: {step.worker}", marks)
    text.append(f"  {short(step.subtask, _SUBTASK)}", "italic")
    if step.state == "running":
        text.append(f"  running, {now - step.began:.1f} s", "yellow")
        if step.doing:
            # Of the answer itself as much as there is, of the others the last words.
            text.append(
                f"\n{printable(step.doing) if step.final else short(step.doing[-_SUBTASK:], _SUBTASK)}"
            )
    elif step.state == "waiting":
        reads = ", ".join(map(str, step.reads))
        text.append("  waiting" + (f" for step {reads}" if reads else ""), "dim")
    else:
        text.append(f"  {step.state}, {spent(step.usage, step.seconds)}", "dim")
    return text.append(f"\n{short(step.note, _NOTE)}", _STYLES[step.state]) if step.note else text


def _marked(state: str, words: str, marks: dict[str, str]) -> "Text":
    from rich.text import Text

    return Text().append(f"{marks[state]} ", _STYLES[state]).append(words)


def has_tree(console: "Console") -> bool:
    """Whether `live` draws a tree there."""
    return console.is_terminal and not console.is_dumb_terminal


@contextmanager
def live(
    console: "Console", clock: Callable[[], float] = time.monotonic, earlier: Iterable[Event] = ()
) -> Iterator[Show]:
    """Show a run while it goes on: as a tree on a terminal, else as a line an event.

    Args:
        console: Where.
        clock: Gives seconds.
        earlier: What was told of the run before it was interrupted; the tree holds it.

    Yields:
        What is to be told every event of the run.

    Example:
        ```python
        from rich.console import Console

        from langgraph_conductor import Worker, create_conductor
        from langgraph_conductor.display.live import live
        from langgraph_conductor.planners import fixed

        conductor = create_conductor(fixed.single("echo"), [Worker("echo", lambda task: task.subtask)])
        question = {"messages": [{"role": "user", "content": "Hello?"}]}
        with live(Console(stderr=True)) as show:
            for event in conductor.stream(question, stream_mode="custom"):
                show(event)
        ```
    """
    if not has_tree(console):
        yield lambda event: console.out(printable(told), highlight=False) if (told := line(event)) else None
        return
    from rich.console import Group
    from rich.live import Live

    progress = Progress(began=clock())
    for event in earlier:
        progress = progress.after(event, clock())
    over = False
    ascii_only = not console.encoding.lower().startswith("utf")

    def draw() -> "Group | Tree":
        drawn = tree(progress, clock(), over=over, ascii_only=ascii_only)
        # A free line for what the terminal echoes, such as ^C: behind a full line it would begin another one,
        # and the tree be drawn over itself.
        return drawn if over else Group(drawn, "")

    def show(event: Event) -> None:
        nonlocal progress
        progress = progress.after(event, clock())

    with Live(console=console, get_renderable=draw, refresh_per_second=8):
        try:
            yield show
        finally:
            over = True

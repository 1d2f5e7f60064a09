"""The answer on stdout while it is being written."""

from collections.abc import Callable

from langgraph_conductor.display.live import Show
from langgraph_conductor.display.words import printable
from langgraph_conductor.events import Event


def answer_as_it_comes(write: Callable[[str], None]) -> Show:
    """Writes what the last step of each round says, as it says it; at the end the answer, if it is another text.

    Args:
        write: Writes a piece of text at once.

    Returns:
        What is to be told every event of the run.
    """
    said: list[str] = []
    final: tuple[int, int] | None = None

    def anew() -> None:
        if said:
            write("\n\n")
        said.clear()

    def show(event: Event) -> None:
        nonlocal final
        match event["type"]:
            case "step_started" if event["final"]:
                final = (event["round"], event["step"])
                anew()
            case "fallback" | "tokens_retracted" if (event["round"], event["step"]) == final:
                anew()
            case "token" if (event["round"], event["step"]) == final:
                said.append(event["text"])
                write(printable(event["text"]))
            case "answer":
                if "".join(said).strip() != event["text"].strip():
                    anew()
                    write(printable(event["text"]))
                write("\n")

    return show

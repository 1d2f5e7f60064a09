"""Writing the report's files."""

from os import PathLike
from pathlib import Path

from langgraph_conductor.evals.report.markdown import markdown
from langgraph_conductor.evals.report.page import page
from langgraph_conductor.evals.results import Evaluation
from langgraph_conductor.evals.summarising import summarise
from langgraph_conductor.text_files import make_folder, write_private


def write_report(evaluation: Evaluation, folder: str | PathLike[str]) -> tuple[Path, Path, Path]:
    """Write `report.md`, `report.html` and `evaluation.json`. The same evaluation gives the same bytes.

    Args:
        evaluation: What was found.
        folder: Where to; it is made if it is not there, and files of these names are replaced. What is made is its
            owner's alone.

    Returns:
        Paths of the three files, in this order.

    Raises:
        ImportError: If matplotlib is not installed.
        OSError: If a file cannot be written.
        ValueError: If the evaluation contradicts itself, see `summarise`.
    """
    into = Path(folder)
    make_folder(into)
    paths = into / "report.md", into / "report.html", into / "evaluation.json"
    # The data first: a report can be made again, episodes that were paid for cannot.
    evaluation.save(paths[2])
    summary = summarise(evaluation)
    write_private(paths[0], markdown(summary))
    write_private(paths[1], page(evaluation, summary))
    return paths

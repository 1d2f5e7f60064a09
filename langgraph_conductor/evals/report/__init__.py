"""The report of an evaluation: Markdown, one self-contained HTML page, and the data."""

from langgraph_conductor.evals.report.markdown import opening
from langgraph_conductor.evals.report.writing import write_report

__all__ = ["opening", "write_report"]

"""Showing what a conductor did. Contacts nobody."""

from langgraph_conductor.display.event_log import event_log
from langgraph_conductor.display.live import live
from langgraph_conductor.display.progress import Progress
from langgraph_conductor.display.run_page import RunView, run_page, write_run_page
from langgraph_conductor.display.setup import describe_setup
from langgraph_conductor.display.text import describe

__all__ = [
    "Progress", "RunView", "describe", "describe_setup", "event_log", "live", "run_page", "write_run_page",
]  # fmt: skip

"""Showing what a conductor did. Contacts nobody."""

from langgraph_conductor.display.text import describe

__all__ = ["describe"]

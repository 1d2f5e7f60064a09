"""The LangGraph graphs: the conductor's loop, a round, a workflow compiled at run time."""

from langgraph_conductor.graph.compiler import compile_workflow
from langgraph_conductor.graph.conductor import create_conductor

__all__ = ["compile_workflow", "create_conductor"]

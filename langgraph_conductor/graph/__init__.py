"""The LangGraph graphs: the conductor's loop, a round, a workflow compiled at run time."""

from langgraph_conductor.graph.bound import ConductorGraph
from langgraph_conductor.graph.compiler import compile_workflow
from langgraph_conductor.graph.conductor import add_conductor, create_conductor

__all__ = ["ConductorGraph", "add_conductor", "compile_workflow", "create_conductor"]

"""Where an edit from outside belongs: a step is edited at its workflow's state, in whatever branch it runs."""

from collections.abc import Iterable

from langchain_core.runnables import RunnableConfig
from langgraph.types import StateSnapshot, StateUpdate

from langgraph_conductor.graph.compiler import Graph, branches_of


def as_one_in_a_branch(updates: Iterable[Iterable[StateUpdate]], graph: Graph) -> bool:
    """Whether updates are all as one and the same step, and it is in a branch."""
    nodes = {update.as_node for superstep in updates for update in superstep}
    return len(nodes) == 1 and any(_holds(branch, *nodes) for branch in branches_of(graph).values())


def edited_as(node: str, updates: Iterable[Iterable[StateUpdate]]) -> list[list[StateUpdate]]:
    """The updates, as another node."""
    return [[update._replace(as_node=node) for update in superstep] for superstep in updates]


def place_of(
    node: str, graph: Graph, state: StateSnapshot, config: RunnableConfig
) -> tuple[Graph, RunnableConfig, str]:
    """The graph a step is in, where that graph is, and the node: of a branch that is over, the branch."""
    if node in graph.nodes:
        return graph, config, node
    name, branch = next(
        (name, branch) for name, branch in branches_of(graph).items() if _holds(branch, node)
    )
    inside = next((task.state for task in state.tasks if task.name == name and not task.result), None)
    if not isinstance(inside, StateSnapshot):
        return graph, config, name
    inner = {**config["configurable"], **inside.config["configurable"]}
    return place_of(node, branch, inside, {**config, "configurable": inner})


def _holds(graph: Graph, node: str | None) -> bool:
    return node in graph.nodes or any(_holds(branch, node) for branch in branches_of(graph).values())

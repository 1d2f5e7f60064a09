"""Options of one run, given under `config["configurable"]["conductor"]`.

    conductor.invoke(question, {"configurable": {"conductor": {"max_rounds": 2}}})

They bind the conductor they are given to, not conductors that are its workers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from langgraph_conductor.workflow import Workflow

OPTIONS: Final = "conductor"


@dataclass(frozen=True, slots=True)
class Options:
    """What may differ from run to run.

    Args:
        max_steps: Most steps of a workflow that is read from a planner's text.
        max_rounds: Most rounds.
        workflow: For drawing alone: the workflow `get_graph(config, xray=True)` shows.
    """

    max_steps: int = 5
    max_rounds: int = 1
    workflow: Workflow | None = None

    def __post_init__(self) -> None:
        for name in ("max_steps", "max_rounds"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} must be a whole number from 1 up, not {value!r}")

    def over(self, config: Mapping[str, Any] | None) -> "Options":
        """These options with those of `config` laid over them.

        Raises:
            ValueError: If an option is unknown or does not fit.
        """
        given = ((config or {}).get("configurable") or {}).get(OPTIONS)
        if given is None:
            return self
        known = sorted(self.__slots__)
        if not isinstance(given, Mapping) or not set(given) <= set(known):
            raise ValueError(f'config["configurable"]["conductor"] may hold {known}, not {given!r}')
        changes = dict(given)
        if isinstance(changes.get("workflow"), Mapping):
            changes["workflow"] = Workflow.from_json(changes["workflow"])
        elif not isinstance(changes.get("workflow"), Workflow | None):
            raise ValueError(f"the option `workflow` must be a Workflow or its JSON, not {given!r}")
        return replace(self, **changes)

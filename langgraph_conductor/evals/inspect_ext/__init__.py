r"""Inspect (https://inspect.aisi.org.uk): a conductor as a model of it, and its models as workers of a conductor.

    inspect eval task.py --model conductor/conductor.toml
    inspect eval task.py --model none --solver langgraph_conductor/conductor_solver -S config=conductor.toml \
        --model-role coder=openai/gpt-5 --model-role planner=openai/gpt-5-mini

    inspect eval langgraph_conductor/suite -T name=gsm8k:PATH --model openai/gpt-5

The first runs any task with the conductor of a file in the place of a model. The second runs the file's conductor
with models of Inspect in the place of the workers that have a role's name, so that Inspect counts each of them.
The third asks any model of Inspect the questions of a suite, with our graders. Inspect finds them by the entry
point of this package, and loads this module; what it offers is loaded when used.
"""

from typing import TYPE_CHECKING

try:
    import inspect_ai as _  # noqa: F401
except ImportError as error:
    raise ImportError(
        "the Inspect integration needs a package that is not installed: pip install 'langgraph-conductor[eval]'"
    ) from error

from langgraph_conductor.evals.inspect_ext.registry import conductor, conductor_solver, suite
from langgraph_conductor.lazy import lazily

if TYPE_CHECKING:
    from langgraph_conductor.evals.inspect_ext.chat_model import InspectChatModel, roles_pool
    from langgraph_conductor.evals.inspect_ext.provider import conductor_model

__all__ = ["conductor", "conductor_model", "conductor_solver", "InspectChatModel", "roles_pool", "suite"]

__getattr__ = lazily(
    __name__, {"InspectChatModel": "chat_model", "roles_pool": "chat_model", "conductor_model": "provider"}
)

"""Public fakes and readers for tests of code that uses this package. No network but loopback.

`ScriptedModel` stands in for a chat model. `FakeProviders` stands in for the providers themselves: real
clients talk to it over HTTP, and it fails the way providers fail (`faults`). `skilled_pool` has workers of known
accuracy, for tests of evaluations. `FakeMcpServer` is a server of tools that fails on demand. `attacks` sends
hostile texts through a conductor.
"""

from langgraph_conductor.testing import attacks, faults
from langgraph_conductor.testing.answers import FakeReply, FakeToolCall
from langgraph_conductor.testing.faults import Fault
from langgraph_conductor.testing.mcp_double import FakeMcpServer
from langgraph_conductor.testing.plans import ACCEPT_TEXT, plan_or_answer, plan_text
from langgraph_conductor.testing.prompts import PromptParts, read_worker_prompt
from langgraph_conductor.testing.providers import FakeProviders
from langgraph_conductor.testing.requests import AskedForm, ProviderRequest
from langgraph_conductor.testing.scripted import ScriptedModel
from langgraph_conductor.testing.skilled import SkilledModel, first_part, skilled_pool
from langgraph_conductor.testing.skilled_planners import skilled_planner

__all__ = [
    "ScriptedModel", "plan_text", "ACCEPT_TEXT",
    "PromptParts", "read_worker_prompt",
    "FakeProviders", "ProviderRequest", "AskedForm", "FakeReply", "FakeToolCall", "plan_or_answer",
    "FakeMcpServer",
    "Fault", "faults", "attacks",
    "skilled_pool", "skilled_planner", "SkilledModel", "first_part",
]  # fmt: skip

"""What replies are kept under: workers that may answer differently are never the same."""

import json
import re
from collections import deque
from decimal import Decimal
from functools import partial

import pytest
from langchain.agents import create_agent
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel

from langgraph_conductor import ChatPlanner, Worker, create_conductor
from langgraph_conductor.planners import fixed
from langgraph_conductor.replay.identity import planner_identity, worker_identity
from langgraph_conductor.workers import chat_model
from tests.helpers import Recorder, Tooled, chat, printed_under_two_hash_seeds

KEY = {"api_key": "sk-one-two-three-4"}


def told(runnable, **options):
    return json.dumps(worker_identity(Worker("w", runnable, **options)), sort_keys=True)


def saying(text):
    return lambda task: text


def with_default(text):
    def say(task, *, text=text):
        return text

    return say


def looking(found):
    def look() -> str:
        """Look."""
        return found

    return look


class Holder:
    __slots__ = ("text",)

    def __init__(self, text):
        self.text = text

    def __call__(self, task):
        return self.text


def nested(text):
    return create_conductor(
        fixed.single("x"), [Worker("x", create_agent(chat("1"), system_prompt=text)), Worker("y", chat())]
    )


@pytest.mark.parametrize(
    "make",
    [
        saying,
        with_default,
        Holder,
        nested,
        lambda text: (lambda task: "A") if text == "A" else (lambda task: "B"),
        lambda text: Recorder("r", text),
        lambda text: Recorder(text, "r").__call__,
        lambda text: partial(lambda task, by: by.text, by=Holder(text)),
        lambda text: RunnableLambda(saying(text)),
        lambda text: RunnableParallel(x=saying(text)) | (lambda both: both["x"]),
        lambda text: ChatPromptTemplate.from_template(text) | chat(),
        lambda text: create_agent(chat(), system_prompt=text),
        lambda text: create_agent(chat(model_name=text)),
        lambda text: create_agent(Tooled(), tools=[looking(text)]),
        lambda text: chat().bind(stop=[text]),
        lambda text: chat().with_fallbacks([create_agent(chat(), system_prompt=text)]),
    ],
)
def test_what_holds_other_things_is_another_worker_and_what_holds_the_same_is_not(make):
    assert told(make("A")) == told(make("A"))
    assert told(make("A")) != told(make("B"))
    assert told(make("A"), version="1") == told(make("A"), version="1") != told(make("A"), version="2")


def test_code_that_calls_other_code_of_its_module_is_another():
    sources = ["S = 'A'\ndef g(): return S", "S = 'B'\ndef g(): return S", "S = 'A'\ndef g(): return S * 2"]
    made = []
    for source in sources:
        module = {"__name__": "mine"}
        exec(source + "\ndef f(task): return g()", module)  # a module of a user, edited
        made.append(told(module["f"]))
    assert len(set(made)) == 3


def test_a_class_whose_methods_or_data_were_edited_is_another():
    made = []
    for data, said in ((1, "A"), (1, "B"), (2, "A"), (1, "A")):
        methods = f"def __call__(self, task): return self.say()\n  def say(self): return {said!r}"
        module = {"__name__": "mine"}
        exec(f"class C:\n  DATA = {data}\n  {methods}", module)  # a module of a user, edited
        worker = module["C"]()
        worker.name = "c"
        made.append(told(worker))
    assert made[3] == made[0]
    assert len(set(made)) == 3


@pytest.mark.parametrize(
    "held", [Decimal, lambda text: re.compile(text), lambda text: deque([text]), bytes.fromhex]
)
def test_values_that_are_no_json_are_told_apart(held):
    assert told(saying(held("11"))) == told(saying(held("11"))) != told(saying(held("22")))


def test_tools_and_turns_make_another_worker():
    made = [
        told(Tooled(), tools=[looking("A")]),
        told(Tooled(), tools=[looking("B")]),
        told(Tooled(), tools=[looking("A")], max_tool_turns=1),
    ]
    assert len(set(made)) == 3
    assert told(Tooled(), tools=[looking("A")]) == made[0]


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("openai:gpt-4.1", {"extra_body": {"key": 1}}),
        ("openai:gpt-4.1", {"extra_body": {"key": 2}}),
        ("openai:gpt-4.1", {"use_responses_api": True}),
        ("openai:gpt-4.1", {"disabled_params": {"n": None}}),
        ("openai:gpt-4.1", {"default_headers": {"x-beta": "1"}}),
        ("anthropic:claude-sonnet-4-5", {"temperature": 0.0}),
        ("anthropic:claude-sonnet-4-5", {"betas": ["b"]}),
        ("anthropic:claude-sonnet-4-5", {"stop_sequences": ["x"]}),
        ("anthropic:claude-sonnet-4-5", {"mcp_servers": [{"name": "a", "type": "url", "url": "http://x"}]}),
        ("google_genai:gemini-2.5-pro", {"thinking_budget": 0}),
        ("google_genai:gemini-2.5-pro", {"cached_content": "c/1"}),
        ("google_genai:gemini-2.5-pro", {"seed": 3}),
        ("google_genai:gemini-2.5-pro", {"response_mime_type": "application/json"}),
        ("openrouter:x/y", {"plugins": [{"id": "web"}]}),
        ("openrouter:x/y", {"frequency_penalty": 0.1}),
        ("vllm:foo", {"extra_body": {"chat_template_kwargs": {"enable_thinking": False}}}),
    ],
)
def test_every_option_that_may_change_a_reply_makes_another_model(model, options):
    assert told(chat_model(model, **KEY, **options)) != told(chat_model(model, **KEY))
    assert told(chat_model(model, **KEY, **options)) == told(
        chat_model(model, api_key="sk-x-y-z-9", **options)
    )


def test_schemas_that_differ_in_a_name_like_key_are_told_apart():
    def tool(name):
        return {"type": "function", "function": {"name": "f", "parameters": {"properties": {name: {}}}}}

    model = chat_model("openai:gpt-4.1", **KEY)
    assert told(model.bind(tools=[tool("key")])) != told(model.bind(tools=[tool("url")]))


def test_keys_in_headers_are_not_told():
    headers = {"Authorization": "Bearer zzzHIDDEN123"}
    model = chat_model(
        "openai:gpt-4.1", **KEY, model_kwargs={"extra_headers": headers}, default_headers=headers
    )
    for runnable in (model, model.bind(extra_headers=headers)):
        assert "HIDDEN" not in told(runnable)
    planner = planner_identity(ChatPlanner(model))
    assert "HIDDEN" not in json.dumps(planner)


def test_a_worker_that_counts_its_calls_stays_what_it_was():
    worker = Worker("w", Recorder("r", "42"))
    before = worker_identity(worker)
    worker.runnable.tasks.append(1)
    assert worker_identity(worker) == before


def test_planners_of_a_class_of_ones_own_are_told_apart_by_what_they_hold():
    class Own(ChatPlanner):
        style = "short"

    class Other(ChatPlanner):
        style = "long"

    def made(kind, **held):
        planner = kind(chat())
        vars(planner).update(held)
        return json.dumps(planner_identity(planner), sort_keys=True)

    assert made(Own) == made(Own)
    assert len({made(Own), made(Other), made(Own, words="few"), made(ChatPlanner)}) == 4


def test_what_a_planner_is_shown_of_earlier_rounds_is_part_of_it():
    shown, hidden = (
        planner_identity(ChatPlanner(chat(), show_previous_plan=show)) for show in (True, False)
    )
    assert (
        "show_previous_plan" not in shown
    )  # runs that were kept before there was a choice are known still
    assert hidden == {**shown, "show_previous_plan": False}


def test_code_is_the_same_in_another_process(tmp_path):
    script = """
import json
from langchain.agents import create_agent
from langgraph_conductor import ChatPlanner, Worker, create_conductor
from langgraph_conductor.replay.identity import worker_identity
from langgraph_conductor.testing import ScriptedModel
WORDS = {"b", "a", "c"}
def f(task): return str(WORDS | {"x", "y"})
agent = create_agent(ScriptedModel(), system_prompt="A")
inner = create_conductor(ChatPlanner(ScriptedModel()), [Worker("x", agent), Worker("f", f)])
print(json.dumps([worker_identity(Worker("w", it)) for it in (f, agent, inner)]))
"""
    assert len(printed_under_two_hash_seeds(script)) == 1

import asyncio
import functools
import inspect
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Annotated, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableLambda
from langgraph.graph import START, StateGraph
from pydantic import BaseModel, SecretStr

from langgraph_conductor import (
    BudgetExceededError,
    Worker,
    WorkerError,
    WorkerPool,
    compile_workflow,
    create_conductor,
)
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import ScriptedModel
from langgraph_conductor.workers.failures import (
    ContextTooLongError,
    error_record,
    is_outage,
    kind_of,
    mark_broken_reply,
    redacted,
    retry_after,
    secrets_of,
    wait_before_retry,
    was_refused,
)
from tests.helpers import ask, flow, question


def answer_of(worker, run, **options):
    conductor = create_conductor(fixed.single("w"), [worker], **options)
    return run(conductor, ask())


class Caller:
    def __call__(self, task):
        return "object"


class AsyncCaller:
    async def __call__(self, task):
        return "object"


async def async_function(task):
    await asyncio.sleep(0)
    return f"async {task.subtask}"


def state_graph(key="messages"):
    state = TypedDict("State", {key: Annotated[list, lambda a, b: a + b]})
    builder = StateGraph(state)
    builder.add_node("reply", lambda s: {key: [AIMessage("from the graph"), AIMessage("")]})
    builder.add_edge(START, "reply")
    return builder.compile()


FORMS = {
    "chat model": (lambda: ScriptedModel(replies=["<think>hm</think> from the model "]), "from the model"),
    "function": (lambda: lambda task: f"did: {task.subtask}", "did: Answer the question."),
    "message": (lambda: lambda task: AIMessage(content=[{"type": "text", "text": "block"}]), "block"),
    "object": (Caller, "object"),
    "partial": (lambda: functools.partial(lambda word, task: word, "part"), "part"),
    "runnable": (lambda: RunnableLambda(lambda messages: messages[0].text[:11]), "You are one"),
    "chain": (lambda: ScriptedModel(replies=["chained"]) | RunnableLambda(lambda m: m.text.upper()), "CHAINED"),
    "graph": (state_graph, "from the graph"),
    "configured graph": (lambda: state_graph().with_config(tags=["x"]), "from the graph"),
    "agent": (lambda: create_agent(ScriptedModel(replies=["agent says"]), []), "agent says"),
    "conductor": (
        lambda: create_conductor(fixed.single("inner"), [Worker("inner", lambda t: "nested")]), "nested"
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_answers_blocking_and_awaited(form, run):
    make, expected = FORMS[form]
    assert answer_of(Worker("w", make()), run)["answer"] == expected


@pytest.mark.parametrize("runnable", [async_function, AsyncCaller(), functools.partial(async_function)])
def test_an_async_function_answers_awaited_and_is_refused_blocking(runnable):
    planner = ScriptedModel()
    conductor = create_conductor(planner, [Worker("w", runnable)])
    with pytest.raises(TypeError, match=r"'w' is an async function, .*`ainvoke`"):
        conductor.invoke(ask())
    assert planner.calls == []  # refused before anything was paid
    assert asyncio.run(conductor.ainvoke(ask()))["answer"]


def test_a_mapping_is_a_worker(run):
    spec = {"name": "w", "description": "d", "runnable": lambda t: "mapped", "may_be_last": True}
    assert answer_of(spec, run)["answer"] == "mapped"
    with pytest.raises(ValueError, match="needs 'runnable'"):
        WorkerPool([{"name": "w"}])
    with pytest.raises(TypeError, match="expected a Worker"):
        WorkerPool(["w"])


class Pydantic(BaseModel):
    x: int


@dataclass
class Plain:
    x: int


@pytest.mark.parametrize("structured", [Pydantic(x=1), Plain(1), {"x": 1}])
def test_a_structured_response_counts_before_text(structured, run):
    result = {"messages": [AIMessage("text")], "structured_response": structured}
    answer = answer_of(Worker("w", lambda t: result), run)["answer"]
    assert json.loads(answer) == {"x": 1}


def test_messages_of_a_graph_behind_http_are_json(run):
    said = {
        "messages": [{"type": "human", "content": "?"}, {"type": "ai", "content": "from afar", "id": "1"}]
    }
    assert answer_of(Worker("w", lambda t: said), run)["answer"] == "from afar"
    refused = {"type": "ai", "content": "No.", "response_metadata": {"stop_reason": "refusal"}}
    with pytest.raises(WorkerError, match="the model refused"):
        answer_of(Worker("w", lambda t: {"messages": [refused]}), run)


def test_images_reach_the_worker(run):
    model = ScriptedModel()
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    conductor = create_conductor(fixed.single("w"), [Worker("w", model)])
    run(conductor, {"messages": [HumanMessage([{"type": "text", "text": "this?"}, image])]})
    standard = {"type": "image", "base64": "AA", "mime_type": "image/png"}
    assert model.calls[0][0].content[1] == standard


@pytest.mark.parametrize(
    "name", ["", "1", "a b", "all", "ALL", "a:b", "a|b", "é", "x" * 65, None, "a\n", "7up"]
)
def test_names_that_cannot_stand_in_plans_are_refused(name):
    with pytest.raises(ValueError, match="use letters, digits"):
        Worker(name, lambda t: "")


def test_names_are_unique():
    with pytest.raises(ValueError, match="two workers are named 'a'"):
        WorkerPool([Worker("a", Caller()), Worker("a", Caller())])
    with pytest.raises(ValueError, match="at least one worker"):
        WorkerPool([])


def test_the_signature_is_whole():
    parameters = inspect.signature(Worker).parameters
    assert list(parameters) == [
        "name", "runnable", "description", "instructions", "history", "tools", "middleware", "max_tool_turns", "tags",
        "max_concurrency", "requests_per_minute", "tokens_per_minute", "limiter", "timeout", "retries",
        "fallback", "price", "max_input_tokens", "may_be_last", "version",
    ]  # fmt: skip
    kinds = [p.kind for p in parameters.values()]
    assert kinds[:2] == [inspect.Parameter.POSITIONAL_ONLY] * 2
    assert set(kinds[2:]) == {inspect.Parameter.KEYWORD_ONLY}


def yields(task):
    yield "x"


async def yields_async(task):
    yield "x"


@pytest.mark.parametrize(
    ("runnable", "reason"),
    [
        (Caller, "Caller is a class; give an instance"),
        (ScriptedModel, "ScriptedModel is a class"),
        (lambda: "x", "must take one argument"),
        (lambda a, b: "x", "must take one argument"),
        (yields, "a function that yields"),
        (yields_async, "a function that yields"),
        (StateGraph(dict), r"not compiled; give graph.compile\(\)"),
    ],
)
def test_what_could_never_answer_is_refused(runnable, reason):
    with pytest.raises(TypeError, match=f"worker 'w': .*{reason}"):
        Worker("w", runnable)


def test_an_async_function_in_a_blocking_workflow_is_a_clear_error():
    graph = compile_workflow(flow(("w", "x", [])), [Worker("w", async_function)])
    with pytest.raises(TypeError, match="`ainvoke`"):
        graph.invoke({"question": list(question())})


def test_bad_options_and_forms_are_refused():
    for options in ({"description": None}, {"tags": "fast"}, {"tags": [1]}, {"tags": None}):
        with pytest.raises(ValueError, match="strings and tags a list"):
            Worker("w", lambda t: "", **options)
    with pytest.raises(ValueError, match="retries"):
        Worker("w", lambda t: "", retries=-1)
    with pytest.raises(TypeError, match="a worker is a model string"):
        Worker("w", 3)
    with pytest.raises(ValueError, match="needs `messages`"):
        Worker("w", state_graph("other"))
    with pytest.raises(ValueError, match="worker 'w': 'nonsense' cannot be used"):
        Worker("w", "nonsense")
    with pytest.raises(ValueError, match="worker 'w': 'nobody:model' cannot be used"):
        Worker("w", "nobody:model")
    with pytest.raises(ValueError, match=r"openai:gpt-5. cannot be used: .*OPENAI_API_KEY"):
        Worker("w", "openai:gpt-5")
    with pytest.raises(ImportError, match="langchain-mistralai"):
        Worker("w", "mistralai:x")


def test_the_representation_shows_no_key():
    from langchain_openai import ChatOpenAI

    worker = Worker("w", ChatOpenAI(model="m", api_key="sk-secret"))
    assert "secret" not in repr(worker) + repr(WorkerPool([worker])) + str(worker)


class Flaky:
    def __init__(self, *errors):
        self.errors, self.tries = list(errors), 0

    def __call__(self, task):
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)
        return "at last"


class ServerError(Exception):
    status_code = 503


class ClientError(Exception):
    status_code = 400


def test_outages_are_retried_and_counted(run):
    flaky = Flaky(ConnectionError("down"), ServerError("busy"))
    result = answer_of(Worker("w", flaky), run)
    assert result["answer"] == "at last"
    assert result["rounds"][0]["steps"][0]["calls"] == 3


def test_other_failures_are_not_retried(run):
    for error in (ClientError("no"), ValueError("bug")):
        flaky = Flaky(error)
        with pytest.raises(WorkerError, match=type(error).__name__):
            answer_of(Worker("w", flaky), run)
        assert flaky.tries == 1


def test_what_is_an_outage():
    assert is_outage(TimeoutError())
    assert is_outage(ServerError())
    assert not is_outage(ClientError())
    assert not is_outage(ValueError())
    assert error_record(ServerError("x" * 5000)) == {
        "type": "ServerError",
        "message": "x" * 2000 + " […]",
        "infrastructure": True,
    }


def test_leaving_out_workers():
    pool = WorkerPool([Worker(name, Caller()) for name in ("a", "b", "c")])
    assert dict(pool.without("b").ordinals) == {0: "a", 2: "c"}
    assert dict(pool.ordinals) == {0: "a", 1: "b", 2: "c"}
    assert WorkerPool(pool.without("a")).ordinals == {1: "b", 2: "c"}
    with pytest.raises(ValueError, match="no worker named or tagged 'x'"):
        pool.without("x")
    with pytest.raises(ValueError, match="no worker would be left"):
        pool.without("a", "b", "c")


def test_the_representation_never_shows_the_runnable():
    class Leaky:
        def __repr__(self):
            return "sk-secret"

        def __call__(self, task):
            return ""

    assert repr(Worker("w", Leaky())) == "Worker('w')"


def test_worker_options_are_kept():
    worker = Worker("w", lambda t: "", tags=["fast"])
    assert (worker.tags, worker.retries) == ({"fast"}, 2)
    for wrong in ("2", 1.5):
        with pytest.raises(ValueError, match="retries"):
            Worker("w", lambda t: "", retries=wrong)


def test_a_call_without_usage_metadata_has_no_price(run):
    pool = [Worker("a", ScriptedModel(replies=[AIMessage("x")]), price={"input": "1", "output": "2"})]
    usage = run(compile_workflow(flow(("a", "x", [])), pool), {"question": list(question())})["record_0"][
        "usage"
    ]
    assert (usage["calls"], usage["unpriced_calls"], usage["usd"]) == (1, 1, None)


def test_metering_adds_to_callbacks_and_leaves_the_given_ones_alone():
    from langchain_core.callbacks import BaseCallbackHandler, CallbackManager

    from langgraph_conductor.workers.doors import metered
    from langgraph_conductor.workers.metering import Meter

    mine, meter = BaseCallbackHandler(), Meter()
    redactor, kept, door = metered({"callbacks": [mine]}, meter)["callbacks"]
    assert kept is mine
    assert redactor.run_inline  # else tracers may be told of errors first
    assert door.run_inline  # else async sums may come after the record
    manager = CallbackManager([mine])
    assert len(metered({"callbacks": manager}, meter)["callbacks"].inheritable_handlers) == 2
    assert manager.handlers == [mine]


def test_what_else_is_an_outage():
    from langchain_core.exceptions import ModelRateLimitError

    from langgraph_conductor.workers.failures import is_outage

    def status(code):
        return type("E", (Exception,), {"status_code": code})()

    for code in (408, 409, 425, 429, 500, 503):
        assert is_outage(status(code))
    for code in (400, 401, 404, 499, "429", None):
        assert not is_outage(status(code))
    assert is_outage(ModelRateLimitError("slow down"))


# ------------------------------------------------------------------ failures, each alone


def with_status(code, text="", headers=None):
    class ProviderError(Exception):
        status_code = code
        response = SimpleNamespace(headers=headers or {}, status_code=code)

    return ProviderError(text)


def named(name, text=""):
    return type(name, (Exception,), {})(text)


def caused(error, times):
    for _ in range(times):
        outer = RuntimeError("wrapped")
        outer.__cause__ = error
        error = outer
    return error


def test_a_failure_is_looked_for_under_what_it_caused():
    assert is_outage(caused(ConnectionError(), 4))
    assert not is_outage(caused(ConnectionError(), 5))
    assert is_outage(RuntimeError("Event loop is closed"))
    assert not is_outage(RuntimeError("Event loop is closing"))
    assert is_outage(named("TransportError"))
    assert is_outage(named("URLError"))
    marked = ValueError("it broke")
    marked.infrastructure = "yes"
    assert not is_outage(marked)
    marked.infrastructure = True
    assert is_outage(marked)
    assert not is_outage(caused(with_status(404), 1))
    answered = with_status(404)
    answered.__cause__ = ConnectionError()
    assert not is_outage(answered)  # the status says it


def test_broken_replies_are_outages_where_a_model_was_called():
    for broken in (
        json.JSONDecodeError("x", "", 0),
        named("UnknownApiResponseError"),
        named("ResponseValidationError"),
        named("Odd", "Unmarshaller failed"),
        caused(named("ResponseValidationError"), 2),
    ):
        assert not is_outage(broken)
        mark_broken_reply(broken)
        assert is_outage(broken)
    for mistake in (ValueError("no"), named("Odd", "x" * 80 + "Unmarshaller")):
        mark_broken_reply(mistake)
        assert not is_outage(mistake)


def test_which_failures_are_not_billed():
    for free in (
        BudgetExceededError("no", limit="usd"),
        ContextTooLongError(),
        with_status(500),
        ConnectionRefusedError(),
        named("ConnectError"),
        caused(with_status(429), 1),
    ):
        assert was_refused(free)
    for perhaps in (TimeoutError(), ConnectionResetError(), ValueError(), with_status("500")):
        assert not was_refused(perhaps)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (with_status(401), "no_key"), (with_status(403), "no_key"), (with_status(404), "unknown_model"),
        (with_status(408), "timeout"), (with_status(504), "timeout"), (with_status(429), "rate_limited"),
        (with_status(500), None), (with_status(400), None), (with_status(400, "bad API key"), "no_key"),
        (with_status(400, "x is not a valid model"), "unknown_model"),
        (with_status(400, "the model x was not found"), "unknown_model"),
        (with_status(400, "the model " + "x" * 90 + " was not found"), None),
        (named("ConnectTimeout"), "unreachable"), (named("gaierror"), "unreachable"),
        (ConnectionRefusedError(), "unreachable"), (TimeoutError(), "timeout"),
        (named("APITimeoutError"), "timeout"), (named("APIConnectionError"), "unreachable"),
        (caused(named("URLError"), 1), "unreachable"), (caused(with_status(401), 1), "no_key"),
        (caused(named("ConnectError"), 1), "unreachable"), (ValueError(), None),
    ],
)  # fmt: skip
def test_which_failure_it_is(error, kind):
    assert kind_of(error) == kind
    assert error_record(error).get("kind") == kind


def test_a_failure_may_say_its_kind():
    told = named("Odd")
    told.kind = "no_key"
    assert kind_of(told) == "no_key"
    told.kind = "some other"
    assert kind_of(told) is None
    late = named("APIConnectionError")  # connected to late, and not unreachable
    late.__cause__ = named("TimeoutException")
    assert kind_of(late) == "timeout"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("3", 3.0), ("0", 0.0), ("-1", 0.0), ("1.5", 1.5), ("soon", None), (None, None)],
)
def test_when_to_come_back(value, seconds):
    error = with_status(429, headers={} if value is None else {"retry-after": value})
    assert retry_after(error) == seconds
    assert retry_after(caused(error, 2)) == seconds
    assert retry_after(ValueError()) is None


def test_when_to_come_back_as_a_date():
    now = datetime.now(UTC)
    for ahead, least, most in ((30, 28, 30), (-30, 0, 0)):
        date = format_datetime(now + timedelta(seconds=ahead), usegmt=True)
        assert least <= retry_after(with_status(429, headers={"retry-after": date})) <= most


def test_waits_before_a_retry(monkeypatch):
    monkeypatch.setattr("langgraph_conductor.workers.failures.random.uniform", lambda low, high: low + high)
    outage = ConnectionError()
    assert [wait_before_retry(outage, n, 9) for n in (1, 2, 3, 9)] == [1.0, 2.0, 4.0, 20.0]
    assert wait_before_retry(outage, 2, 2) == 2.0
    assert wait_before_retry(outage, 3, 2) is None
    assert wait_before_retry(outage, 1, 0) is None
    assert wait_before_retry(ValueError(), 1, 9) is None

    def asked(seconds, tries=1):
        return wait_before_retry(with_status(429, headers={"retry-after": seconds}), tries, 9)

    assert asked("0") == pytest.approx(0.1)  # a tenth of the wait it would have been
    assert asked("5", tries=9) == 6.0  # a second more at most
    assert asked("60") == pytest.approx(60.1)
    assert asked("60.5") is None


def test_records_of_failures_name_no_key():
    error = ValueError(
        "Incorrect: my-own-secret, sk-abcdefgh12345678, Bearer abcdef123, ?key=abcdef123, AKIA123"
    )
    assert error_record(error, ["my-own-secret"]) == {
        "type": "ValueError",
        "message": "Incorrect: [redacted], [redacted], Bearer [redacted], ?key=[redacted] AKIA123",
        "infrastructure": False,
    }
    assert error_record(ValueError("x" * 2000))["message"] == "x" * 2000
    refused = error_record(BudgetExceededError("spent", limit="usd"))
    assert (refused["limit"], refused["infrastructure"]) == ("usd", False)
    for key in (
        "AIza" + "x" * 20,
        "AKIA" + "X" * 12,
        "ghp_" + "x7" * 6,
        "api_key = 'abc7ef'",
        "authorization: abc7ef",
    ):
        assert "[redacted]" in redacted(f"with {key} in it")
    for harmless in ("AIza" + "x" * 19, "ghp_" + "x7" * 5, "api_key: abc7e", "Bearer abcdef"):
        assert redacted(harmless) == harmless


def test_the_keys_of_a_model():
    class Keyed(ScriptedModel):
        key: SecretStr | None = None
        other: SecretStr | None = None
        plain: str = "plain-text"

    model = Keyed(key=SecretStr("abc7ef"), other=SecretStr("abc7e"))  # five characters are no key
    assert secrets_of(model) == ("abc7ef",)
    assert secrets_of(model.bind(stop=["x"]).with_config(tags=["t"])) == ("abc7ef",)
    assert secrets_of(Keyed()) == secrets_of(lambda task: "") == ()


@dataclass
class City:
    name: str


class Town(BaseModel):
    name: str


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (Town(name="Köln"), '{"name":"Köln"}'),
        (City("Köln"), '{"name": "Köln"}'),
        ({"name": "Köln", "parts": [Town(name="Deutz")]}, '{"name": "Köln", "parts": [{"name": "Deutz"}]}'),
        ({"raw": AIMessage(""), "parsed": Town(name="Köln"), "parsing_error": None}, '{"name":"Köln"}'),
        ({"raw": AIMessage("Köln"), "parsed": None, "parsing_error": ValueError("x")}, "Köln"),
        ({"role": "assistant", "content": "Köln"}, "Köln"),
    ],
)
def test_an_object_counts_by_its_json(given, text, run):
    for form in (lambda task: given, RunnableLambda(lambda messages: given)):
        team = create_conductor(fixed.single("w"), [Worker("w", form)])
        assert run(team, ask())["answer"] == text


def test_a_refusal_beside_no_object_is_a_refusal(run):
    said = AIMessage("", additional_kwargs={"refusal": "I will not."})
    given = {"raw": said, "parsed": None, "parsing_error": None}
    with pytest.raises(WorkerError, match="I will not"):
        run(create_conductor(fixed.single("w"), [Worker("w", lambda task: given)]), ask())

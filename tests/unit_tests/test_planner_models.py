"""Planners over what LangChain composes of chat models: bound, retried, with fallbacks, configurable, in chains."""

import pytest
from langchain.agents import create_agent
from langchain.chat_models import base as chat_models
from langchain.chat_models import init_chat_model
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser, StrOutputParser
from langchain_core.runnables import ConfigurableField, RunnableLambda
from pydantic import BaseModel

from langgraph_conductor import Budget, ChatPlanner, Worker, create_conductor
from langgraph_conductor.graph.round import meter_of_planner
from langgraph_conductor.planners.fixed import reviewed
from langgraph_conductor.planners.protocol import planner_of
from langgraph_conductor.planners.turns import TurnsPlanner
from langgraph_conductor.replay.identity import planner_identity
from langgraph_conductor.testing import ScriptedModel, plan_text
from langgraph_conductor.workers.composed import models_in, takes_schemas, under_schema
from tests.helpers import PRICE, ask, called

WORKERS = [Worker("a", lambda task: "done"), Worker("b", lambda task: "other")]
PLAN = plan_text(("a", "Do it.", []))
JSON_PLAN = '{"reasoning": "", "steps": [{"worker": "a", "subtask": "Do it.", "access": []}]}'
TURN = '{"reasoning": "", "worker": "a", "role": "work", "subtask": "Do it.", "reads": []}'


class Heard(ScriptedModel):
    """Remembers what each call was bound to."""

    heard: list = []

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self.heard.append({"stop": stop, **kwargs})
        return super()._generate(messages, stop, run_manager, **kwargs)

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
        self.heard.append({"stop": stop, **kwargs})
        return await super()._agenerate(messages, stop, run_manager, **kwargs)


class Schemed(Heard):
    """Takes schemas as OpenAI's models do: one call, bound to a format."""

    profile: dict = {"structured_output": True}

    def with_structured_output(self, schema, *, method, include_raw):
        assert (method, include_raw) == ("json_schema", True)
        from langchain_core.runnables import RunnableMap, RunnablePassthrough

        bound = self.bind(response_format={"schema": schema["title"]})
        return RunnableMap(raw=bound) | RunnablePassthrough.assign(parsed=lambda _: None)


def scripted(*replies, kind=Heard, **options):
    return kind(replies=list(replies) or [PLAN], **{"max_tokens": 50, **options})


def broken(**options):
    return scripted(OSError("down"), **options)


def planned(run, planner, **options):
    result = run(create_conductor(planner, WORKERS, **options), ask())
    (record,) = result["rounds"]
    return record["plan"], result


def configurable(monkeypatch, models, **options):
    """`init_chat_model` with these models in the place of those of providers."""

    def named(model, **options):
        return models[model]

    monkeypatch.setattr(chat_models, "_init_chat_model_helper", named)
    return init_chat_model(configurable_fields=("model",), **options)


def composed(model):
    """Every way, over one model that plans."""
    return {
        "bound": model.bind(stop=["END"]),
        "config": model.with_config(tags=["mine"]),
        "retry": model.with_retry(stop_after_attempt=2),
        "fallbacks": broken().with_fallbacks([model]),
        "fallbacks of fallbacks": broken().with_fallbacks(
            [broken().with_fallbacks([model.bind(stop=["E"])])]
        ),
        "retry of bound": model.bind(stop=["END"]).with_retry(),
        "parser": model | StrOutputParser(),
        "parsers with fallbacks": (broken() | StrOutputParser()).with_fallbacks(
            [model | StrOutputParser()]
        ),
        "prompt": RunnableLambda(lambda messages: messages[-1:]) | model,
        "alternatives": model.configurable_alternatives(ConfigurableField(id="who"), other=broken()),
        "fields": model.configurable_fields(max_tokens=ConfigurableField(id="longest")),
        "messages": model | (lambda message: [AIMessage("Hm."), message]),
        "graph": (lambda messages: {"messages": messages}) | create_agent(model, []),
    }


@pytest.mark.parametrize(
    "given", [lambda model: model, ChatPlanner, lambda model: reviewed(ChatPlanner(model))]
)
@pytest.mark.parametrize("what", composed(scripted()))
def test_a_composed_model_plans(run, what, given):
    model = scripted()
    made, result = planned(run, given(composed(model)[what]))
    assert (made["reached"], made["error"], result["answer"]) == ("unaided", None, "done")
    assert called(model) == 1
    assert made["usage"]["calls"] == 1
    assert made["usage"]["output_tokens"] == len(PLAN.split())
    assert result["usage"]["planner"]["output_tokens"] == len(PLAN.split())


def test_a_coordinator_takes_them_too(run):
    planner = TurnsPlanner(broken().with_fallbacks([scripted(TURN)]))
    result = run(create_conductor(planner, WORKERS, max_rounds=1), ask())
    assert result["answer"] == "done"


def test_a_planner_falls_back_when_the_first_fails(run):
    first, second = broken(), scripted()
    made, _ = planned(run, first.with_fallbacks([second]))
    assert (called(first), called(second)) == (1, 1)
    assert [call["model"] for call in made["model_calls"]] == ["scripted"]


def test_what_a_planner_is_bound_to_arrives(run):
    model = scripted()
    planned(run, model.bind(stop=["END"], temperature=0.3))
    assert model.heard == [{"stop": ["END"], "temperature": 0.3}]


def test_a_retried_planner_retries(run):
    model = scripted(ValueError("once"), PLAN)
    made, _ = planned(run, model.with_retry(wait_exponential_jitter=False))
    assert called(model) == 2
    assert made["error"] is None
    assert made["usage"]["calls"] == 1  # one was answered


def test_a_config_of_a_planner_reaches_its_calls(run):
    tags = []

    class Tagged(ScriptedModel):
        def _result(self, messages, run):
            tags.append(run.tags)
            return super()._result(messages, run)

    planned(run, Tagged(replies=[PLAN]).with_config(tags=["mine"]))
    assert "mine" in tags[0]


class Choice(BaseModel):
    steps: list[dict]
    reasoning: str = ""


@pytest.mark.parametrize("parser", [JsonOutputParser(), PydanticOutputParser(pydantic_object=Choice)])
def test_an_object_that_a_parser_made_is_a_plan(run, parser):
    made, result = planned(run, scripted(JSON_PLAN) | parser)
    assert (made["reached"], result["answer"]) == ("unaided", "done")
    assert made["usage"]["calls"] == 1


# Schemas.


def schemed(model):
    return {
        "itself": model,
        "bound": model.bind(stop=["END"], temperature=0.3),
        "retry": model.bind(stop=["END"], temperature=0.3).with_retry(),
        "bound again": model.bind(stop=["no"], temperature=0.3).bind(stop=["END"]),
        "config": model.bind(stop=["END"], temperature=0.3).with_config(tags=["x"]),
        "fallback": broken(kind=Schemed).with_fallbacks([model.bind(stop=["END"], temperature=0.3)]),
        "fallbacks bound": broken(kind=Schemed).with_fallbacks([model]).bind(stop=["END"], temperature=0.3),
    }


@pytest.mark.parametrize("what", schemed(scripted(kind=Schemed)))
def test_a_composed_model_is_bound_to_a_schema_and_stays_what_it_was(run, what):
    model = scripted(JSON_PLAN, kind=Schemed)
    made, result = planned(run, schemed(model)[what])
    assert (made["reached"], result["answer"]) == ("schema", "done")
    bound = {"stop": None} if what == "itself" else {"stop": ["END"], "temperature": 0.3}
    assert model.heard == [{**bound, "response_format": {"schema": "workflow"}}]
    assert made["usage"]["calls"] == 1


def test_a_retried_model_retries_under_a_schema(run):
    model = scripted(ValueError("once"), JSON_PLAN, kind=Schemed)
    made, _ = planned(run, model.with_retry(wait_exponential_jitter=False))
    assert (called(model), made["reached"]) == (2, "schema")


def test_a_schema_is_asked_for_only_where_every_model_takes_it():
    good = scripted(kind=Schemed)
    assert takes_schemas(good.with_fallbacks([good.bind(stop=["x"]).with_retry()]))
    assert not takes_schemas(good.with_fallbacks([scripted()]))
    assert not takes_schemas(good | StrOutputParser())
    assert not ChatPlanner(good.with_fallbacks([good | StrOutputParser()])).structured
    with pytest.raises(ValueError, match=r"RunnableSequence cannot be bound.*structured=False"):
        ChatPlanner(good | StrOutputParser(), structured=True)


# Models that the config chooses.


def test_a_configurable_model_plans_as_the_one_it_is_by_default(run, monkeypatch):
    models = {"one": scripted(), "two": scripted(plan_text(("b", "Do it.", [])))}
    planner = configurable(monkeypatch, models, model="one")
    app = create_conductor(planner, WORKERS)
    assert run(app, ask())["answer"] == "done"
    assert run(app, ask(), {"configurable": {"model": "two"}})["answer"] == "other"
    assert (called(models["one"]), called(models["two"])) == (1, 1)


def test_a_configurable_model_without_a_default_plans_once_it_is_chosen(run, monkeypatch):
    models = {"two": scripted()}
    app = create_conductor(configurable(monkeypatch, models), WORKERS)
    assert run(app, ask(), {"configurable": {"model": "two"}})["answer"] == "done"


def test_a_configurable_model_is_bound_to_a_schema(run, monkeypatch):
    models = {"one": scripted(JSON_PLAN, kind=Schemed), "two": scripted(JSON_PLAN, kind=Schemed)}
    planner = configurable(monkeypatch, models, model="one").bind(stop=["END"])
    app = create_conductor(planner, WORKERS)
    for config in ({}, {"configurable": {"model": "two"}}):
        made = run(app, ask(), config)["rounds"][0]["plan"]
        assert (made["reached"], made["usage"]["calls"]) == ("schema", 1)
    for model in models.values():
        assert model.heard == [{"stop": ["END"], "response_format": {"schema": "workflow"}}]


def test_a_configurable_model_that_cannot_be_made_yet_is_taken(monkeypatch):
    planner = configurable(monkeypatch, {}, model="nobody")
    assert models_in(planner) == ()
    assert ChatPlanner(planner).structured is False
    assert isinstance(planner_of(planner), ChatPlanner)


# Accounts.


def test_the_models_inside_are_found():
    one, two = scripted(), scripted()
    assert models_in(one.bind(stop=["x"]).with_retry().with_fallbacks([two | StrOutputParser()])) == (
        one,
        two,
    )
    assert models_in(RunnableLambda(lambda m: m)) == ()


def test_a_budget_is_refused_if_a_fallback_has_no_bound():
    capped, open_ended = scripted(), scripted(max_tokens=None)
    with pytest.raises(ValueError, match="the planner has no output cap"):
        create_conductor(capped.with_fallbacks([open_ended]), WORKERS, budget=Budget(tokens=1000))
    with pytest.raises(ValueError, match="the planner has no output cap"):
        create_conductor(open_ended | StrOutputParser(), WORKERS, budget=Budget(tokens=1000))
    create_conductor(capped.with_fallbacks([capped]), WORKERS, budget=Budget(tokens=1000))


def test_a_budget_is_refused_if_a_fallback_has_no_price():
    planner = ChatPlanner(
        scripted(model_name="cheap").with_fallbacks([scripted(model_name="unknown")]),
        price={"cheap": PRICE},
    )
    with pytest.raises(ValueError, match="the planner has no known price"):
        create_conductor(planner, WORKERS, budget=Budget(usd=5))


class Profiled(ScriptedModel):
    """Tells its cap in its profile alone."""


def profiled(name, cap, *replies):
    return Profiled(replies=list(replies) or [PLAN], model_name=name, profile={"max_output_tokens": cap})


@pytest.mark.parametrize("who", ["planner", "worker"])
def test_each_of_the_models_is_admitted_by_its_own_bound(run, who):
    """A fallback's cap counts for the fallback's call: here it is more than the budget has."""
    first, second = profiled("first", 10, OSError("down")), profiled("second", 1_000_000)
    team = first.with_fallbacks([second])
    budget = Budget(tokens=100_000)
    if who == "planner":
        made, _ = planned(run, team, budget=budget)
        assert made["refusal"]["type"] == "BudgetExceededError"
    else:
        app = create_conductor(
            ScriptedModel(replies=[PLAN], max_tokens=50), [Worker("a", team)], budget=budget
        )
        with pytest.raises(Exception, match="budget"):
            run(app, ask())
    assert called(second) == 0


def test_a_fallback_with_a_bound_in_its_profile_is_called_under_a_budget(run):
    team = profiled("first", 10, OSError("down")).with_fallbacks([profiled("second", 60)])
    made, result = planned(run, team, budget=Budget(tokens=100_000))
    assert (made["error"], result["answer"]) == (None, "done")


def test_prices_of_each_model_count_once(run):
    first, second = broken(model_name="first"), scripted(model_name="second")
    prices = {"first": {"input": 0, "output": 0}, "second": {"input": 0, "output": 1_000_000}}
    made, result = planned(run, ChatPlanner(first.with_fallbacks([second]), price=prices))
    assert float(made["usage"]["usd"]) == len(PLAN.split())
    assert result["usage"]["total"]["usd"] == made["usage"]["usd"]


def test_secrets_of_all_models_are_known():
    from langchain_openai import ChatOpenAI

    one, two, three = (ChatOpenAI(model="m", api_key=f"sk-{n}-0123456789abcdef") for n in ("a", "b", "c"))
    meter = meter_of_planner(ChatPlanner(one.with_fallbacks([two.with_retry(), three | StrOutputParser()])))
    assert {secret[:4] for secret in meter.secrets} == {"sk-a", "sk-b", "sk-c"}


def test_the_identity_of_a_planner_tells_what_is_composed():
    def identity(model):
        return planner_identity(ChatPlanner(model))

    model = scripted()
    assert identity(model.bind(stop=["a"])) == identity(model.bind(stop=["a"]))
    said = [
        identity(m)
        for m in (
            model, model.bind(stop=["a"]), model.bind(stop=["b"]), model | StrOutputParser(),
            model | (lambda message: message.text.upper()), model | (lambda message: message.text.lower()),
        )
    ]  # fmt: skip
    assert all(one != other for i, one in enumerate(said) for other in said[:i])


@pytest.mark.parametrize(
    "given",
    [
        3,
        None,
        lambda messages: PLAN,
        [scripted(), scripted()],
        create_agent(scripted(), []),
        ScriptedModel,
        object(),
    ],
)
def test_what_cannot_plan_is_refused_with_what_can(given):
    for make in (ChatPlanner, planner_of, lambda one: create_conductor(one, WORKERS)):
        with pytest.raises(
            TypeError, match=r"a planner is a model string, a chat model .*`plan` and `aplan`, not "
        ):
            make(given)


def test_under_schema_of_what_is_no_model():
    with pytest.raises(TypeError, match="only a chat model"):
        under_schema(RunnableLambda(lambda m: m), {})

"""A step reads what it was granted: no graph that works for a conductor may bring in what it remembers of others."""

import re
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial, wraps
from types import ModuleType

import pytest
from deepagents import create_deep_agent
from langchain.agents import create_agent
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.messages import AIMessage
from langchain_core.runnables import (
    RouterRunnable,
    RunnableBranch,
    RunnableConfig,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from langchain_core.runnables.configurable import ConfigurableField
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.config import get_config
from langgraph.func import entrypoint
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from langgraph_conductor import Worker, WorkerPool, add_conductor, create_conductor
from langgraph_conductor.planners import fixed
from langgraph_conductor.workers.memory import StepSaver, remembering
from tests.helpers import ScriptedPlanner, Tooled, ask, chain, flow, thread

SAID = {"role": "user", "content": "Hi."}


def agent(model=None, tools=(), *, memory=True):
    return create_agent(model or Tooled(), list(tools), checkpointer=memory)


def around(*nodes):
    """A graph whose nodes are these, one after the other."""
    builder = StateGraph(MessagesState)
    for number, node in enumerate(nodes):
        builder.add_node(f"node{number}", node)
        builder.add_edge(f"node{number - 1}" if number else START, f"node{number}")
    return builder.compile()


def last(state):
    return state["messages"][-1].text


def as_messages(messages):
    return {"messages": messages}


# Seen when a worker is built.

GRAPH = agent()


class Holder:
    def __init__(self):
        self.graph = agent()

    def answer(self, task):
        return last(self.graph.invoke({"messages": [task.messages[-1]]}))

    def __call__(self, task):
        return self.answer(task)


def names_a_global(task):
    return last(GRAPH.invoke({"messages": [task.messages[-1]]}))


def names_it_inside(task):
    return [last(GRAPH.invoke({"messages": [message]})) for message in task.messages][-1]


async def names_a_global_awaited(task):
    return last(await GRAPH.ainvoke({"messages": [task.messages[-1]]}))


def takes_it(graph, task):
    return last(graph.invoke({"messages": [task.messages[-1]]}))


def closure():
    graph = agent()
    return lambda task: last(graph.invoke({"messages": [task.messages[-1]]}))


def node_function():
    graph = agent()

    def other(state: MessagesState):
        return around(agent(memory=None)).invoke(state)

    def node(state: MessagesState):
        other(state)
        return graph.invoke(state)

    return node


def second_of_two():
    plain, remembers = agent(memory=None), agent()

    def node(state: MessagesState):
        return remembers.invoke(plain.invoke(state))

    return node


def by_default(task, graph=GRAPH):
    return last(graph.invoke({"messages": [task.messages[-1]]}))


class Module(ModuleType):
    graph = None


shelf = Module("shelf")
shelf.graph = GRAPH


def of_a_module(task):
    return last(shelf.graph.with_config(tags=["x"]).invoke({"messages": [task.messages[-1]]}))


class Keeping(Holder):
    """Invokes what it holds in a comprehension, by way of a method of its own."""

    def __call__(self, task):
        return self.some([task.messages[-1]])[0]

    def some(self, messages):
        return [last(self.graph.invoke({"messages": [message]})) for message in messages]


ASK = GRAPH.invoke


def by_a_method_of_it(task):
    return last(ASK({"messages": [task.messages[-1]]}))


def history(_):
    return InMemoryChatMessageHistory()


plain_conductor = partial(create_conductor, chain("w"), [Worker("w", lambda t: "ok")])

SEEN = {
    "itself": lambda: agent(),
    "a node": lambda: around(agent()),
    "a node of a node": lambda: around(around(agent())),
    "a later node": lambda: around(agent(memory=None), agent()),
    "a function of a node": lambda: around(node_function()),
    "second in a function of a node": lambda: around(second_of_two()),
    "a chain in a node": lambda: around(RunnableLambda(lambda s: s) | agent()),
    "bound": lambda: around(agent()).with_config(tags=["x"]),
    "retried": lambda: agent().with_retry(),
    "first of fallbacks": lambda: agent().with_fallbacks([agent(memory=None)]),
    "a fallback": lambda: agent(memory=None).with_fallbacks([around(agent())]),
    "a chain": lambda: RunnableLambda(as_messages) | agent() | last,
    "a lambda": lambda: RunnableLambda(lambda messages: last(GRAPH.invoke(as_messages(messages)))),
    "parallel": lambda: (
        RunnableParallel(a=RunnableLambda(as_messages) | agent()) | (lambda d: last(d["a"]))
    ),
    "assigned": lambda: RunnableLambda(as_messages) | RunnablePassthrough.assign(a=agent()) | last,
    "a branch": lambda: RunnableBranch((bool, agent()), lambda _: "ok"),
    "a branch's default": lambda: RunnableBranch((bool, lambda _: "ok"), agent()),
    "a router": lambda: (lambda m: {"key": "a", "input": m}) | RouterRunnable({"a": agent()}),
    "each": lambda: agent().map(),
    "an alternative": lambda: (RunnableLambda(as_messages) | last).configurable_alternatives(
        ConfigurableField(id="who"), other=RunnableLambda(as_messages) | agent()
    ),
    "a function": lambda: names_a_global,
    "a comprehension": lambda: names_it_inside,
    "wrapped": lambda: wraps(names_a_global)(lambda task: names_a_global(task)),
    "an async function": lambda: names_a_global_awaited,
    "a closure": closure,
    "a method": lambda: Holder().answer,
    "an object": Holder,
    "an argument": lambda: partial(takes_it, agent()),
    "an argument by name": lambda: partial(by_default, graph=around(agent())),
    "an argument of an argument": lambda: partial(partial(takes_it), agent()),
    "a default": lambda: by_default,
    "an attribute of a module": lambda: of_a_module,
    "a method of a method": Keeping,
    "a bound method": lambda: by_a_method_of_it,
    "a method in a node": lambda: around(Keeping().some),
    "an object in a node": lambda: around(Keeping()),
    "its own method": lambda: agent().invoke,
    "a deep agent": lambda: create_deep_agent(Tooled(), checkpointer=True),
    "a conductor": lambda: plain_conductor(checkpointer=True),
    "a conductor in a node": lambda: around(plain_conductor(checkpointer=True)),
    "chat history": lambda: RunnableWithMessageHistory(Tooled(), history),
    "chat history in a chain": lambda: RunnableWithMessageHistory(Tooled(), history) | (lambda m: m.text),
}


@pytest.mark.filterwarnings("ignore:RunnableWithMessageHistory")
@pytest.mark.parametrize("what", SEEN)
def test_what_remembers_is_refused_wherever_it_is(what):
    with pytest.raises(ValueError, match=r"worker 'w': .* remembers earlier rounds and steps"):
        Worker("w", SEEN[what]())


def test_what_remembers_is_refused_as_a_mapping():
    with pytest.raises(ValueError, match=r"worker 'w'.*remembers"):
        WorkerPool([{"name": "w", "description": "", "runnable": around(agent())}])


def test_the_error_says_where_it_is_and_what_to_do():
    inner = agent(memory=None).with_fallbacks([around(agent())])
    where = re.escape("(node 'node1', fallbacks, [0], node 'node0')")
    with pytest.raises(
        ValueError, match=rf"checkpointer=True {where}.*compile that graph without a checkpointer"
    ):
        Worker("w", around(agent(memory=None), inner))


class Service:
    """Holds an app, one node of which remembers by design; not all it does has to do with it."""

    def __init__(self, app):
        self.app, self.prefix = app, "svc"

    def look_up(self, task):
        return f"{self.prefix}: {task.subtask}"

    def state(self, task):
        return str(len(self.app.get_state({"configurable": {"thread_id": "z"}}).values))

    def ask_by_a_helper(self, task):
        return last(helped(self.app, {"messages": [task.messages[-1]]}))

    async def ask_by_a_helper_awaited(self, task):
        return last(await helped_awaited(self.app, {"messages": [task.messages[-1]]}))


def helped(app, given):
    return app.invoke(given)


async def helped_awaited(app, given):
    return await app.ainvoke(given)


def hosting(model=None):
    builder = StateGraph(MessagesState)
    builder.add_node("faq", agent(model))
    builder.add_edge(START, "faq")
    return builder.compile(checkpointer=InMemorySaver())


HOST = hosting()


def reads_its_state(task):
    return str(len(HOST.get_state({"configurable": {"thread_id": "z"}}).values))


def draws_it(task):
    return GRAPH.get_graph().draw_mermaid()[:10]


FINE = {
    "a method of a service whose app it leaves alone": lambda: Service(HOST).look_up,
    "a method that reads the state of an app": lambda: Service(HOST).state,
    "a method that hands its app on": lambda: Service(HOST).ask_by_a_helper,
    "a function that reads the state of an app": lambda: reads_its_state,
    "a function that draws a graph": lambda: draws_it,
    "an argument that is handed on": lambda: partial(lambda app, task: helped(app, {}), HOST),
    "a saver of its own": lambda: agent(memory=InMemorySaver()),
    "a saver of its own below": lambda: around(agent(memory=InMemorySaver())),
    "no saver": lambda: agent(memory=None),
    "never": lambda: agent(memory=False),
    "a function": lambda: lambda task: "ok",
    "a model": Tooled,
    "a conductor": plain_conductor,
    "a tool that remembers": lambda: agent(tools=[asking({"expert": agent()})], memory=None),
}


@pytest.mark.parametrize("what", FINE)
def test_what_keeps_to_the_step_is_taken(what):
    assert remembering(FINE[what]()) is None
    Worker("w", FINE[what]())


def test_an_attribute_that_is_named_as_a_graph_is_none():
    Worker("w", lambda task: task.GRAPH)


def test_a_function_that_names_what_is_not_there_yet_is_taken():
    def work(task):
        return later()

    Worker("w", work)

    def later():
        return "ok"


def test_looking_ends_where_things_hold_each_other():
    class Round:
        def __call__(self, task):
            return f"{self.other}"

    one = RunnableLambda(lambda m: "ok")
    one.other = {"itself": [one]}
    assert remembering(one) is None


# Not seen, or remembering in other ways: a secret of one step is in no prompt of another.


def asking(experts):
    """A tool that asks an expert nobody can see from outside."""

    @tool
    def look(q: str) -> str:
        """Ask the expert."""
        return last(experts["expert"].invoke({"messages": [{"role": "user", "content": q}]}))

    return look


def async_asking(experts):
    @tool
    async def look(q: str) -> str:
        """Ask the expert."""
        return last(await experts["expert"].ainvoke({"messages": [{"role": "user", "content": q}]}))

    return look


def subtask(messages):
    """The secret in a prompt's newest human message."""
    asked = next(m for m in reversed(messages) if m.type == "human")
    return re.findall(r"secret-[\d-]+", asked.text)[-1]


def looks(messages):
    """Calls the tool with its secret, and then answers."""
    if messages[-1].type == "tool":
        return "ok"
    return AIMessage("", tool_calls=[{"name": "look", "args": {"q": subtask(messages)}, "id": "1"}])


def delegates(messages):
    """Hands its secret to a deep agent's subagent, and then answers."""
    if messages[-1].type == "tool":
        return "ok"
    args = {"description": subtask(messages), "subagent_type": "expert"}
    return AIMessage("", tool_calls=[{"name": "task", "args": args, "id": "1"}])


def hidden(expert, call=lambda expert, given: expert.invoke(given)):
    """A function that calls what nobody can see from outside."""
    experts = {"expert": expert}

    def work(task):
        return last(call(experts["expert"], {"messages": [task.messages[-1]]}))

    return work


def hidden_runnable(experts):
    return lambda messages: last(experts[0].invoke({"messages": [messages[-1]]}))


def hidden_awaited(expert):
    experts = {"expert": expert}

    async def work(task):
        return last(await experts["expert"].ainvoke({"messages": [task.messages[-1]]}))

    return work


def in_a_thread(expert, given):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(copy_context().run, expert.invoke, given).result()


def under_its_config(expert, given):
    """As those do who pass on what they run under."""
    return expert.invoke(given, get_config())


def streamed(expert, given):
    return [*expert.stream(given, stream_mode="values")][-1]


def functional(model, memory):
    """An expert by LangGraph's functional API, with what it returned before in its prompt."""

    @entrypoint(checkpointer=memory)
    def expert(given, *, previous=None):
        before = (previous or {"messages": []})["messages"]
        messages = [*before, *given["messages"]]
        return {"messages": [*messages, model.invoke(messages)]}

    return expert


def deep(model):
    subagent = {"name": "expert", "description": "Knows.", "runnable": agent(model)}
    return create_deep_agent(Tooled(replies=delegates), subagents=[subagent])


def nested(model):
    """A conductor whose own worker has a tool that remembers."""
    inner = agent(Tooled(replies=looks), [asking({"expert": agent(model)})], memory=None)
    return create_conductor(Relaying(), [Worker("inner", inner)], name="inner_conductor")


class Relaying(ScriptedPlanner):
    """Plans one step, with the secret of its question."""

    def plan(self, asked):
        secret = re.findall(r"secret-[\d-]+", asked.question[0]["text"])[-1]
        self.plans = [flow(("inner", secret, []))]
        return super().plan(asked)


FORMS = {
    "service": lambda m: Service(hosting(m)).ask_by_a_helper,
    "async service": lambda m: Service(hosting(m)).ask_by_a_helper_awaited,
    "graph of a service": lambda m: Service(around(agent(m))).ask_by_a_helper,
    "argument that is handed on": lambda m: partial(
        lambda app, task: last(helped(app, {"messages": [task.messages[-1]]})), agent(m)
    ),
    "function": lambda m: hidden(agent(m)),
    "async function": lambda m: hidden_awaited(agent(m)),
    "graph in a function": lambda m: hidden(around(agent(m))),
    "thread": lambda m: hidden(agent(m), in_a_thread),
    "streamed": lambda m: hidden(agent(m), streamed),
    "saver of its own": lambda m: hidden(agent(m, memory=InMemorySaver())),
    "inherited config": lambda m: hidden(agent(m), under_its_config),
    "inherited config, saver of its own": lambda m: hidden(
        agent(m, memory=InMemorySaver()), under_its_config
    ),
    "runnable": lambda m: RunnableLambda(hidden_runnable([agent(m)])),
    "tool": lambda m: agent(Tooled(replies=looks), [asking({"expert": agent(m)})], memory=None),
    "tool of a fallback": lambda m: agent(Tooled(replies=[OSError("no")]), memory=None).with_fallbacks(
        [agent(Tooled(replies=looks), [asking({"expert": agent(m)})], memory=None)]
    ),
    "tool of a node": lambda m: around(
        agent(Tooled(replies=looks), [asking({"expert": agent(m)})], memory=None)
    ),
    "tool with a saver of its own": lambda m: agent(
        Tooled(replies=looks),
        [asking({"expert": agent(m, memory=InMemorySaver())})],
        memory=InMemorySaver(),
    ),
    "agent with a saver of its own": lambda m: agent(m, memory=InMemorySaver()),
    "agent with a saver in a node": lambda m: around(agent(m, memory=InMemorySaver())),
    "functional": lambda m: hidden(functional(m, True)),
    "functional with a saver": lambda m: hidden(functional(m, InMemorySaver())),
    "subagent": deep,
    "conductor": nested,
}
AWAITED = {"async function", "async service"}


def plans():
    """Three times two rounds of two steps, each step with a secret of its own."""
    for number in range(6):
        yield flow(*(("w", f"Think of secret-{number}-{i}.", []) for i in range(2)))


class Saver:
    """A memory or SQLite saver, for blocking or awaited calls."""

    def __init__(self, kind, path):
        self.kind, self.path = kind, str(path / "runs.sqlite")
        self.memory = InMemorySaver() if kind == "memory" else None

    def blocking(self, use):
        if self.kind != "sqlite":
            return use(self.memory)
        with SqliteSaver.from_conn_string(self.path) as saver:
            return use(saver)

    async def awaited(self, use):
        if self.kind != "sqlite":
            return await use(self.memory)
        async with AsyncSqliteSaver.from_conn_string(self.path) as saver:
            return await use(saver)


def conducted(worker, saver):
    planner = ScriptedPlanner(*plans())
    return create_conductor(planner, [Worker("w", worker)], max_rounds=2, checkpointer=saver)


def added(worker, saver):
    builder = StateGraph(MessagesState)
    add_conductor(builder, ScriptedPlanner(*plans()), [Worker("w", worker)], max_rounds=2)
    builder.add_edge(START, "conductor")
    return builder.compile(checkpointer=saver)


def turns_of(make, worker, saver, call):
    """Two turns of one thread, and one of another."""
    import asyncio

    threads = ("t", "t", "other")
    if call == "sync":

        def blocking(opened):
            app = make(worker, opened)
            return [app.invoke(ask(), thread(name)) for name in threads]

        return saver.blocking(blocking)

    async def awaited(opened):
        app = make(worker, opened)
        return [await app.ainvoke(ask(), thread(name)) for name in threads]

    return asyncio.run(saver.awaited(awaited))


SOME = ["function", "tool", "service"]
HOW = [
    *((form, conducted, "memory", "async" if form in AWAITED else "sync") for form in FORMS),
    *((form, added, "sqlite", "async") for form in FORMS),
    *((form, added, "sqlite", "sync") for form in SOME),
    *((form, conducted, "memory", "async") for form in SOME),
]


@pytest.mark.parametrize(("form", "make", "kind", "call"), HOW)
def test_a_secret_of_one_step_is_in_no_prompt_of_another(form, make, kind, call, tmp_path):
    model = Tooled(replies=["ok"])
    turns_of(make, FORMS[form](model), Saver(kind, tmp_path), call)
    secrets = [set(re.findall(r"secret-[\d-]+", str(sent))) for sent in model.calls]
    assert len(secrets) == 12  # 3 turns of 2 rounds of 2 steps
    assert all(len(own) == 1 for own in secrets)
    assert len(set.union(*secrets)) == 12


@pytest.mark.parametrize("form", ["tool with a saver of its own", "agent with a saver in a node"])
def test_without_a_saver_nothing_is_remembered(form, tmp_path):
    model = Tooled(replies=["ok"])
    turns_of(conducted, FORMS[form](model), Saver("none", tmp_path), "sync")
    assert [len(set(re.findall(r"secret-[\d-]+", str(sent)))) for sent in model.calls] == [1] * 12


def test_code_that_names_a_thread_itself_remembers_there(run):
    """The limit: LangGraph then leaves the run, and a saver of the expert's own is used."""
    model = Tooled(replies=["ok"])
    named = {"configurable": {"thread_id": "mine"}}
    expert = hidden(agent(model, memory=InMemorySaver()), lambda graph, given: graph.invoke(given, named))
    run(create_conductor(chain("w", "w"), [Worker("w", expert)]), ask())
    assert [sum(m.type == "human" for m in sent) for sent in model.calls] == [1, 2]


# Within a step, what LangGraph promises holds.


def remembers_within(calls):
    def reply(messages):
        if (said := sum(m.type == "tool" for m in messages)) == calls:
            return "ok"
        return AIMessage("", tool_calls=[{"name": "look", "args": {"q": f"word{said}"}, "id": str(said)}])

    return Tooled(replies=reply)


def test_an_expert_remembers_what_it_was_told_in_the_same_step(run):
    model = Tooled(replies=["ok"])
    worker = agent(remembers_within(2), [asking({"expert": agent(model)})], memory=None)
    app = create_conductor(chain("w", "w"), [Worker("w", worker)], checkpointer=InMemorySaver())
    run(app, ask(), thread())
    told = [[m.text for m in sent if m.type == "human"] for sent in model.calls]
    assert told == [["word0"], ["word0", "word1"]] * 2


def test_an_expert_that_asks_a_person_goes_on_where_it_was(run):
    model = Tooled(replies=["first", "second"])

    def asks(state: MessagesState, config: RunnableConfig):
        return {"messages": [AIMessage(f"heard {interrupt('Well?')}")]}

    builder = StateGraph(MessagesState)
    builder.add_node("think", agent(model, memory=None))
    builder.add_node("asks", asks)
    builder.add_edge(START, "think")
    builder.add_edge("think", "asks")
    worker = hidden(builder.compile(checkpointer=True))
    app = create_conductor(chain("w", "w"), [Worker("w", worker)], checkpointer=InMemorySaver())
    assert run(app, ask(), thread())["__interrupt__"]
    assert run(app, Command(resume="one"), thread())["__interrupt__"]
    assert run(app, Command(resume="two"), thread())["answer"] == "heard two"
    assert len(model.calls) == 2  # the first node of neither ran twice
    assert all(len([m for m in sent if m.type == "human"]) == 1 for sent in model.calls)


# The saver of a step.


def remembered(namespace="round|workflow|step_0|tools"):
    return {"configurable": {"thread_id": "t", "checkpoint_ns": namespace}}


def checkpoint(identity):
    from langgraph.checkpoint.base import empty_checkpoint

    return {**empty_checkpoint(), "id": identity}


def test_a_steps_saver_keeps_what_remembers_with_the_step():
    saver = InMemorySaver()
    one, two = (StepSaver(saver, f"round:{n}|workflow:{n}|step_0:{n}") for n in "ab")
    put = one.put(remembered(), checkpoint("1"), {}, {})
    assert put["configurable"]["checkpoint_ns"] == "round|workflow|step_0|tools"
    one.put_writes(put, [("a", 1)], "task", "path")
    one.put(put, checkpoint("2"), {}, {})
    found = one.get_tuple(put)
    assert found.pending_writes == [("task", "a", 1)]
    assert found.config == put
    newest, oldest = one.list(remembered())
    assert newest.parent_config == oldest.config == put
    assert [saved.checkpoint["id"] for saved in one.list(remembered(), before=newest.config)] == ["1"]
    assert two.get_tuple(remembered()) is None
    assert saver.get_tuple(remembered()) is None
    held = remembered("round:a|workflow:a|step_0:a|tools")
    assert saver.get_tuple(held).checkpoint["id"] == "2"


@pytest.mark.parametrize("elsewhere", ["", "round|workflow|step_01", "round:a|workflow:a|step_0:a|model:1"])
def test_a_steps_saver_leaves_all_else_where_it_is(elsewhere):
    saver = InMemorySaver()
    step = StepSaver(saver, "round:a|workflow:a|step_0:a")
    put = step.put(remembered(elsewhere), checkpoint("1"), {}, {})
    assert saver.get_tuple(remembered(elsewhere)) == step.get_tuple(put)


def test_a_steps_saver_serves_savers_that_take_no_path():
    class Older(InMemorySaver):
        def put_writes(self, config, writes, task_id):
            super().put_writes(config, writes, task_id)

    step = StepSaver(Older(), "step_0:a")
    put = step.put(remembered("step_0"), checkpoint("1"), {}, {})
    step.put_writes(put, [("a", 1)], "task", "path")
    assert step.get_tuple(put).pending_writes == [("task", "a", 1)]


class Unbound:
    """A proxy outside of what it stands for, as flask's `request` is outside of a request."""

    def __getattribute__(self, name):
        raise RuntimeError(f"there is nothing to ask for {name}")


unbound = Unbound()


class Touched:
    """What ends whoever runs code of it, as lazy settings do that are not set."""

    @property
    def __class__(self):
        raise SystemExit("its class was asked for")

    @property
    def __dict__(self):
        raise SystemExit("its dictionary was asked for")

    def __getattr__(self, name):
        raise SystemExit(f"{name} was asked for")

    def __iter__(self):
        raise SystemExit("it was gone through")

    def __len__(self):
        raise SystemExit("its length was asked for")

    def __eq__(self, other):
        raise SystemExit("it was compared")

    __hash__ = None


class TouchedList(list):
    __iter__ = __len__ = __getitem__ = Touched.__len__


class TouchedDict(dict):
    items = keys = values = get = __iter__ = __len__ = __getitem__ = __contains__ = Touched.__len__


class OfMeta(type):
    def __getattribute__(cls, name):
        raise SystemExit(f"{name} was asked for")

    def __eq__(cls, other):
        raise SystemExit("it was compared")

    def __hash__(cls):
        raise SystemExit("its hash was asked for")

    def __instancecheck__(cls, other):
        raise SystemExit("it was asked for an instance")


def strange():
    return OfMeta("Strange", (), {})


class Held:
    def __init__(self, thing):
        self.thing = thing

    def answer(self, task):
        return "ok"

    def __call__(self, task):
        return "ok"


def in_a_closure(thing):
    def work(task):
        return "ok" if thing is not None else ""

    return work


def in_a_chain(thing):
    return RunnableLambda(partial(lambda thing, messages: "ok", thing)) | (lambda text: text)


THINGS = {
    "object": Touched,
    "list": lambda: TouchedList([Touched()]),
    "dictionary": lambda: TouchedDict(transport=Touched(), api_key=Touched()),
    "of a metaclass": strange,
    "instance of one": lambda: type.__call__(strange()),
    "under the name of a key": lambda: {"api_key": Touched(), "headers": TouchedDict(a=Touched())},
}
HOLDINGS = {
    "closure": in_a_closure,
    "default": lambda thing: lambda task, thing=thing: "ok",
    "partial": lambda thing: partial(lambda thing, task: "ok", thing),
    "partial by name": lambda thing: partial(lambda task, thing: "ok", thing=thing),
    "method": lambda thing: Held(thing).answer,
    "object": Held,
    "chain": in_a_chain,
    "container": lambda thing: in_a_closure([{"a": (thing, {1: thing})}]),
}


@pytest.mark.parametrize("holding", HOLDINGS)
@pytest.mark.parametrize("thing", THINGS)
def test_building_runs_no_code_of_what_a_worker_refers_to(thing, holding):
    Worker("w", HOLDINGS[holding](THINGS[thing]()))


@pytest.mark.parametrize("holding", HOLDINGS)
def test_of_a_large_index_little_is_looked_at(holding, monkeypatch):
    from langgraph_conductor.workers import reading

    seen = []
    islice = reading.islice
    monkeypatch.setattr(
        reading, "islice", lambda values, most: (seen.append(one) or one for one in islice(values, most))
    )
    index = [{"text": str(number), "vector": [0.5] * 8} for number in range(50_000)]
    Worker("w", HOLDINGS[holding](index))
    assert len(seen) < 20_000


def test_a_function_may_name_a_proxy_that_stands_for_nothing_yet():
    def work(task):
        try:
            return unbound.user
        except RuntimeError:
            return "nobody"

    assert create_conductor(fixed.single("a"), [Worker("a", work)]).invoke(ask())["answer"] == "nobody"

"""Keys: what is known as one, in which spellings, and that none leaves by any exit."""

import base64
import copy
import functools
import json
import pickle
import traceback
from collections import deque
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple
from urllib.parse import quote

import mcp.client.stdio  # noqa: F401 - it keeps the stderr it is imported under, which must not be a command's
import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import BaseTool, tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel, SecretStr
from typer.testing import CliRunner

from langgraph_conductor import ConfigError, Worker, WorkerError, create_conductor
from langgraph_conductor.cli.app import app as commands
from langgraph_conductor.config import load_conductor
from langgraph_conductor.workers import held_keys, known_secrets
from langgraph_conductor.workers.known_secrets import begun, redacted, remember, secrets_of, without
from langgraph_conductor.workers.redaction import Unspoken, redact
from tests.helpers import ScriptedPlanner, ask, flow

SECRET = "zz/canary 4711+secret"
KEY = "zzcanary4711secret"


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    monkeypatch.setattr(known_secrets, "_taken", set())


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe="").lower(),
        SECRET.replace("/", "%2F").replace("+", "%2B").replace(" ", "+"),
        json.dumps({"a": json.dumps({"b": SECRET})}),
        *(base64.b64encode(f"{user}:{SECRET}".encode()).decode() for user in ("a", "me", "you", "them")),
        base64.urlsafe_b64encode(f"{SECRET}:x".encode()).decode(),
    ],
)
def test_a_known_secret_goes_in_every_spelling(text):
    told = without(f"before {text} after", [SECRET])
    assert told.startswith("before ")
    assert told.endswith(" after")
    assert "[redacted]" in told
    for part in ("canary", "4711", text):
        assert part not in told


def test_a_secret_with_signs_that_json_escapes_goes():
    odd = 'zz"quote\\back4711é'
    assert odd not in (told := without(json.dumps({"k": odd}), [odd]))
    assert "4711" not in told


@pytest.mark.parametrize(
    ("name", "value", "known"),
    [
        ("MY_KEY", "correct-horse-battery", True),
        ("ANY", KEY, True),
        ("ANY", "1234abcd5678efgh", True),
        ("MCP_URL", f"http://h/mcp?tavilyApiKey={KEY}", True),
        ("MCP_URL", f"http://h/s/{KEY}/mcp", True),
        ("DB", f"postgresql://me:{KEY}@h/db", True),
        ("SETTINGS", json.dumps({"apiKey": KEY}), True),
        ("ANY", "3", False),
        ("ANY", "true", False),
        ("MY_KEY", "true", False),
        ("MY_KEY", "none", False),
        ("ANY", "localhost", False),
        ("ANY", "gpt-5-mini", False),
        ("ANY", "claude-sonnet-4-5-20250929", False),
        ("ANY", "Qwen/Qwen3-32B", False),
        ("ANY", "http://127.0.0.1:8000/v1", False),
        ("ANY", "us-east-1", False),
        ("ANY", "/home/me/servers", False),
    ],
)
def test_what_came_from_the_environment_is_known_unless_it_is_words(name, value, known):
    remember(name, value)
    assert bool(known_secrets._taken) is known
    assert (value == without(value, ())) is not known
    if KEY in value:
        assert KEY not in without(value, ())


def test_a_key_in_pieces_is_not_told():
    spoken = Unspoken([KEY])
    told = [spoken.more(piece) for piece in ("The key zz", "canary47", "11secret is zzc", "an")]
    assert "".join(told) == "The key [redacted] is "
    assert spoken.rest() == "zzcan"
    assert spoken.rest() == ""
    assert begun("nothing", [KEY]) == 0
    assert begun("it is zzcanary", [KEY]) == 8


class Client:
    def __init__(self):
        self.api_key = KEY


class Search(BaseModel):
    api_key: str = KEY
    question: str = "structured-response"


class Slots:
    __slots__ = ("__api_key", "later")

    def __init__(self):
        self.__api_key = KEY

    def search(self, query: str) -> str:
        """Search."""
        return query


@dataclass(frozen=True, slots=True)
class Frozen:
    password: str = KEY


class Pair(NamedTuple):
    user: str = "me"
    password: str = KEY


class OfClass:
    API_KEY = KEY
    PASSWORD_FIELD = "password_field"

    @classmethod
    def search(cls, query: str) -> str:
        """Search."""
        return query


class Config(dict):
    def __init__(self):
        super().__init__(a=1)
        self.api_key = KEY


class AnswersAll:
    def __init__(self):
        self.__dict__["api_key"] = KEY

    def __getattr__(self, name):
        return "anything"


def with_attribute(task):
    return "x"


with_attribute.api_key = KEY

CLIENT = Client()
PAIR = Pair()
MODEL = ChatOpenAI(model="m", api_key=KEY)


def of_globals(task):
    return CLIENT, MODEL


def holding(secret):
    def worker(task):
        return secret.get_secret_value()

    return worker


@tool
def search(query: str) -> str:
    """Search."""
    return str(CLIENT)


@pytest.mark.parametrize(
    "holder",
    [
        Client(),
        Search(),
        of_globals,
        holding(SecretStr(KEY)),
        search,
        RunnableLambda(holding(SecretStr(KEY))),
        create_agent(MODEL, []),
        create_agent(ChatOpenAI(model="m", api_key="zz-other-key-1"), [search]),
        MODEL.bind(extra_headers={"X-Auth": KEY}),
        MODEL.bind_tools([search]),
        Slots(),
        Frozen(),
        Pair(),
        OfClass(),
        OfClass.search,
        Config(),
        AnswersAll(),
        with_attribute,
        deque([Slots()]),
        Slots().search,
        functools.partial(Slots.search, Slots()),
        functools.partial(print, sep=Frozen()),
        RunnableLambda(lambda task, settings=(PAIR,): settings),
        {"transport": "http", "url": f"http://h/mcp?tavilyApiKey={KEY}"},
        {"transport": "http", "url": f"http://h/mcp/{KEY}/sse"},
        {"transport": "http", "url": "http://h", "headers": {"Cookie": f"theme=dark; id={KEY}"}},
        {"transport": "stdio", "command": "x", "args": ["--api-key", KEY]},
        {"transport": "stdio", "command": "x", "args": [f"--token={KEY}"]},
        {"transport": "stdio", "command": "x", "args": ["--header", f"Authorization: Bearer {KEY}"]},
        {"transport": "stdio", "command": "x", "args": ["--config", json.dumps({"apiKey": KEY})]},
        {"transport": "stdio", "command": "x", "env": {"accessToken": KEY}},
        {"transport": "stdio", "command": "x", "env": {"GITHUB_PAT": KEY}},
    ],
)
def test_what_holds_a_key_is_looked_through(holder):
    assert KEY in secrets_of(holder)


def test_data_is_no_secret():
    key, token = "structured_response", "answer-so-far"

    def worker(task):
        return key + token

    assert secrets_of(worker) == ()
    assert secrets_of(OfClass) == (KEY,)
    assert secrets_of({"transport": "stdio", "command": "x", "args": ["--max-tokens", "200000"]}) == ()
    assert (
        secrets_of({"transport": "http", "url": "http://127.0.0.1:8000/mcp?page=search-results-page"}) == ()
    )


def test_errors_lose_keys_in_notes_bytes_and_objects():
    class Url:
        def __str__(self):
            return f"http://h/?key={KEY}"

        __repr__ = __str__

    error = ValueError(Url(), KEY.encode(), {KEY: 1})
    error.add_note(f"with {KEY}")
    inner = ValueError(f"inner {KEY}")
    error.__cause__ = ExceptionGroup("all", [inner])
    redact(error, [KEY])
    shown = "".join(traceback.format_exception(error)) + repr(error)
    assert KEY not in shown
    assert "[redacted]" in shown


def test_a_key_in_an_error_of_a_function_or_tool_reaches_no_trace_event_or_record(run):
    from tests.unit_tests.test_hostile import ToolModel, tool_call
    from tests.unit_tests.test_traces import traced

    found = "-".join(["tvly", "abcdef0123456789abcd"])  # in pieces, since tracebacks show the code

    def function(task):
        raise ValueError(f"refused: {found}")

    @tool
    def fails() -> str:
        """Fail."""
        raise ValueError(f"refused: {found}")

    workers = [Worker("f", function), Worker("t", ToolModel(replies=[tool_call("fails")]), tools=[fails])]
    workers.append(Worker("ok", lambda task: "ok"))
    conductor = create_conductor(
        ScriptedPlanner(flow(("f", "x", []), ("t", "y", []), ("ok", "z", "all"))), workers
    )
    with traced("multipart") as langsmith:
        result = run(conductor, ask())
        parts = list(conductor.stream(ask(), stream_mode=["custom", "updates", "values"], subgraphs=True))
        assert langsmith.sent("refused: [redacted]")
        assert not langsmith.sent(found)
    assert found not in repr(result) + repr(parts)
    assert "refused: [redacted]" in repr(result["rounds"][0]["steps"][1]["tool_calls"])


class Tavily(BaseTool):
    name: str = "search"
    description: str = "Search."
    api_key: SecretStr = SecretStr(KEY)

    def _run(self, query: str) -> str:
        raise ValueError(f"401 for {self.api_key.get_secret_value()}")


class Refusing(AgentMiddleware):
    def __init__(self):
        super().__init__()
        self.api_key = KEY

    def before_model(self, state, runtime):
        raise ValueError(f"401 for {self.api_key}")


def closure():
    api_key = KEY

    def search(query: str) -> str:
        """Search."""
        raise ValueError(f"401 for {api_key}")

    return search


class Service:
    def __init__(self):
        self.api_key = KEY

    def search(self, query: str) -> str:
        """Search."""
        raise ValueError(f"401 for {self.api_key}")


@pytest.mark.parametrize(
    "given",
    [
        {"tools": [closure()]},
        {"tools": [tool(closure())]},
        {"tools": [Service().search]},
        {"tools": [Tavily()]},
        {"middleware": [Refusing()]},
    ],
)
@pytest.mark.parametrize("on_step_error", ["record", "raise"])
def test_the_key_of_a_tool_or_middleware_leaves_by_no_exit(given, on_step_error):
    from tests.unit_tests.test_hostile import ToolModel, tool_call
    from tests.unit_tests.test_traces import traced

    worker = Worker("w", ToolModel(replies=[tool_call("search", query="x")]), retries=0, **given)
    saver = InMemorySaver()
    conductor = create_conductor(
        ScriptedPlanner(flow(("w", "x", []))), [worker], on_step_error=on_step_error, checkpointer=saver
    )
    told, config = [], {"configurable": {"thread_id": "1"}}
    with traced("multipart") as langsmith:
        try:
            for part in conductor.stream(
                ask(), config, stream_mode=["custom", "updates", "values"], subgraphs=True
            ):
                told.append(part)
        except WorkerError as error:
            told.append("".join(traceback.format_exception(error)) + repr(error))
        assert langsmith.sent("401 for [redacted]")
        assert not langsmith.sent(KEY)
    assert "401 for [redacted]" in repr(told)
    assert KEY not in repr(told) + repr(saver.storage) + repr(saver.writes) + repr(saver.blobs)


def test_a_group_says_its_own_message_without_keys():
    error = ExceptionGroup(
        f"all {KEY}", [ValueError(f"a {KEY}"), ExceptionGroup(f"in {KEY}", [KeyError(KEY)])]
    )
    outer = RuntimeError("outer")
    outer.__cause__ = error
    redact(outer, [KEY], guess=False)
    values, others = error.split(ValueError)
    kept = pickle.loads(pickle.dumps(error))
    for told in (outer, error, values, others, kept, error.exceptions[1], copy.copy(error)):
        assert KEY not in "".join(traceback.format_exception(told)) + repr(told) + str(told)
    for group in (error, values, others, kept):
        assert group.message == "all [redacted]"
        assert isinstance(group, ExceptionGroup)
        assert type(group).__name__ == "ExceptionGroup"
    assert type(kept) is ExceptionGroup
    assert [type(one).__name__ for one in kept.exceptions] == ["ValueError", "ExceptionGroup"]
    with pytest.raises(ExceptionGroup, match=r"all \[redacted\]"):
        raise error


class SaysMoreError(Exception):
    def __str__(self):
        return f"denied {CLIENT.api_key}"


class ShowsMoreError(Exception):
    def __repr__(self):
        return f"Denied({CLIENT.api_key!r})"


class OfSlotsError(Exception):
    __slots__ = ("told",)

    def __init__(self):
        super().__init__()
        self.told = f"denied {KEY}"

    def __str__(self):
        return self.told


@pytest.mark.parametrize(
    "error",
    [
        SaysMoreError(),
        ShowsMoreError(),
        OfSlotsError(),
        FileNotFoundError(2, "No such file", f"/data?token={KEY}"),
    ],
)
def test_errors_that_make_their_text_elsewhere_show_no_key(error):
    kind = type(error)
    redact(error, [KEY])
    shown = "".join(traceback.format_exception(error)) + repr(error) + str(error)
    assert KEY not in shown
    assert "[redacted]" in shown
    assert isinstance(error, kind)
    assert type(error).__name__ == kind.__name__


def test_an_error_without_keys_stays_what_it_is():
    error = ExceptionGroup("all", [ValueError("one")])
    redact(error, [KEY])
    assert type(error) is ExceptionGroup


def test_a_group_in_a_step_is_in_no_trace_or_traceback(run):
    from tests.unit_tests.test_traces import traced

    api_key = KEY

    def worker(task):
        raise ExceptionGroup(f"denied {api_key}", [ValueError(f"inner {api_key}")])

    steps = RunnableLambda(lambda messages: worker(messages))
    for held in (worker, steps):
        conductor = create_conductor(
            ScriptedPlanner(flow(("w", "x", []))), [Worker("w", held, retries=0)], on_step_error="raise"
        )
        with traced("multipart") as langsmith:
            with pytest.raises(WorkerError) as raised:
                run(conductor, ask())
            assert langsmith.sent("denied [redacted]")
            assert not langsmith.sent(KEY)
        assert KEY not in "".join(traceback.format_exception(raised.value)) + repr(raised.value)


class OwnKey(ScriptedPlanner):
    def __init__(self, *plans):
        super().__init__(*plans)
        self.api_key = KEY

    def is_answer(self, workflow):
        if self.plans:
            raise ValueError(f"401 for {self.api_key}")
        return True

    def plan(self, asked):
        if not self.plans:
            raise ValueError(f"401 for {self.api_key}")
        return super().plan(asked)


class OwnClient(OwnKey):
    def __init__(self):
        self.plans, self._client = [], None

    def plan(self, asked):
        self._client = Client()  # with its first plan only
        raise ValueError(f"401 for {self._client.api_key}")


class KeyOfClass(OwnClient):
    password = KEY

    def plan(self, asked):
        raise ValueError(f"401 for {self.password}")


@pytest.mark.parametrize("planner", [OwnKey, OwnClient, KeyOfClass])
def test_the_key_of_a_planner_leaves_by_no_exit(run, planner, caplog):
    saver = InMemorySaver()
    conductor = create_conductor(planner(), [Worker("w", lambda task: "ok")], checkpointer=saver)
    config = {"configurable": {"thread_id": "1"}}
    result = run(conductor, ask(), config)
    told = list(conductor.stream(ask(), config, stream_mode=["custom", "values"], subgraphs=True))
    assert result["rounds"][0]["plan"]["error"]["message"] == "401 for [redacted]"
    assert "401 for [redacted]" in caplog.text
    kept = repr(saver.storage) + repr(saver.writes) + repr(saver.blobs)
    assert KEY not in repr(result) + repr(told) + caplog.text + kept


@pytest.mark.parametrize("place", ["get_question", "approve", "is_answer"])
def test_the_key_of_a_function_of_a_conductor_leaves_by_no_exit(run, place, caplog):
    from tests.unit_tests.test_traces import traced

    api_key = KEY

    def fails(_):
        raise ValueError(f"401 for {api_key}")

    planner = (OwnKey if place == "is_answer" else ScriptedPlanner)(flow(("w", "x", [])))
    saver, given = InMemorySaver(), {} if place == "is_answer" else {place: fails}
    conductor = create_conductor(planner, [Worker("w", lambda task: "ok")], checkpointer=saver, **given)
    told = []
    with traced("multipart") as langsmith:
        try:
            told.append(repr(run(conductor, ask(), {"configurable": {"thread_id": "1"}})))
        except ValueError as error:
            told.append("".join(traceback.format_exception(error)) + repr(error))
        assert not langsmith.sent(KEY)
    assert "401 for [redacted]" in told[0] + caplog.text
    kept = repr(saver.storage) + repr(saver.writes) + repr(saver.blobs)
    assert KEY not in told[0] + caplog.text + kept


def test_a_walk_ends_soon_whatever_hangs_on_an_object():
    class Node:
        __slots__ = ("api_key", "others")

        def __init__(self):
            self.api_key, self.others = None, []

    nodes = [Node() for _ in range(300)]
    for node in nodes:
        node.others = [*nodes, Node()]
    nodes[0].api_key = KEY
    walk = held_keys._Walk()
    walk.through([nodes[0], {"many": [[number] for number in range(100_000)]}])
    assert list(walk.found) == [KEY]
    assert len(walk._seen) <= held_keys._MOST_PARTS + 2 * held_keys._MORE_PARTS


# ---------------------------------------------------------------------- one server, every exit


class _Refuses(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(401)
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_POST  # noqa: N815 - as the server calls it

    def log_message(self, *_):
        pass


@pytest.fixture
def refusing():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refuses) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


TEAM = """
[planner]
strategy = "mixture_of_agents"
proposers = ["search"]
layers = 1
aggregator = "{aggregator}"
[[workers]]
name = "search"
model = "openai_compatible:m@http://127.0.0.1:9/v1"
retries = 0
tools = [{{ transport = "{transport}", url = "{url}" }}]
[[workers]]
name = "calc"
local = "calculator"
"""


@pytest.mark.parametrize(
    ("transport", "place"),
    [
        ("http", "/mcp?tavilyApiKey=${PLAIN}"), ("http", "/s/${PLAIN}/mcp"), ("http", "${WHOLE}"),
        ("sse", "/mcp?tavilyApiKey=${PLAIN}"),
    ],
)  # fmt: skip
def test_the_key_of_a_server_leaves_by_no_exit(refusing, monkeypatch, tmp_path, capfd, transport, place):
    monkeypatch.setenv("PLAIN", KEY)
    monkeypatch.setenv("WHOLE", f"{refusing}/mcp?tavilyApiKey={KEY}")
    url = place if place == "${WHOLE}" else refusing + place
    said = []
    for aggregator in ("calc", "search"):
        config = tmp_path / f"{aggregator}.toml"
        config.write_text(TEAM.format(aggregator=aggregator, transport=transport, url=url))
        files = ["--log", tmp_path / f"{aggregator}.jsonl", "--saver", f"sqlite:{tmp_path / aggregator}.db"]
        html = ["--html", tmp_path / f"{aggregator}.html", "--thread", "t"]
        done = CliRunner().invoke(
            commands, [*map(str, ["ask", "What is 2 + 2?", "-c", config, "--json", *files, *html])]
        )
        said.append(done.output)
        assert done.exit_code == (0 if aggregator == "calc" else 4)
        assert KEY not in "".join(traceback.format_exception(done.exception))
        shown = CliRunner().invoke(commands, ["show", "t", "--saver", f"sqlite:{tmp_path / aggregator}.db"])
        said.append(shown.output)
    assert "[redacted]" in said[0]
    written = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert b"[redacted]" in written["calc.html"]
    assert b"[redacted]" in written["calc.jsonl"]
    assert [name for name, held in written.items() if KEY.encode() in held] == []
    assert KEY not in "".join([*said, *capfd.readouterr()])


async def test_the_key_of_a_server_is_in_no_exception(refusing, monkeypatch, tmp_path):
    monkeypatch.setenv("PLAIN", KEY)
    config = tmp_path / "c.toml"
    config.write_text(
        TEAM.format(aggregator="calc", transport="http", url=f"{refusing}/mcp?tavilyApiKey=${{PLAIN}}")
    )
    conductor = load_conductor(config, on_step_error="raise")
    with pytest.raises(Exception, match=r"\[redacted\]") as raised:
        await conductor.ainvoke(ask())
    assert KEY not in "".join(traceback.format_exception(raised.value)) + repr(raised.value)


LITERAL = [
    'tools = [{ transport = "http", url = "http://h/mcp?tavilyApiKey=very-private" }]',
    'tools = [{ transport = "http", url = "http://h/mcp", headers = { Cookie = "session=very-private" } }]',
    'tools = [{ transport = "http", url = "http://h/mcp", headers = { X-Api-Key = "very-private" } }]',
    'tools = [{ transport = "stdio", command = "x", args = ["--api-key", "very-private"] }]',
    'tools = [{ transport = "stdio", command = "x", args = ["--token=very-private"] }]',
    'tools = [{ transport = "stdio", command = "x", args = ["-e", "GITHUB_PAT=very-private"] }]',
    'tools = [{ transport = "stdio", command = "x", args = ["--header", "X-Api-Key: very-private"] }]',
    'tools = [{ transport = "stdio", command = "x", env = { accessToken = "very-private" } }]',
    'tools = [{ transport = "stdio", command = "x", env = { GITHUB_PAT = "very-private" } }]',
    'tools = [{ transport = "stdio", command = "x", args = ["y"], env = { SMTP_PASS = "private" } }]',
    'tools = [{ transport = "stdio", command = "x", args = ["y"], env = { DB_PW = "private" } }]',
    'tools = [{ transport = "stdio", command = "x", args = ["y"], env = { API_KEYS = "private" } }]',
    'tools = [{ transport = "stdio", command = "x", args = ["y"], env = { APP_SECRETS = "private" } }]',
    'tools = [{ transport = "stdio", command = "x", args = ["y"], env = { TOKENS = "private" } }]',
    'tools = [{ transport = "http", url = "http://h/mcp?auth=private22" }]',
    'tools = [{ transport = "http", url = "https://h/9f86d081884c7d659a2feaa0c55ad015/mcp" }]',
    'tools = [{ transport = "http", url = "https://h/s/MTIzNDU2Nzg5MGFiY2RlZg==/mcp" }]',
    'options = { extra_body = { api_keys = ["none", "private"] } }',
    'options = { extra_body = { token = { value = "private" } } }',
    "options = { extra_body = { api_key = 123456789 } }",
]
INNOCENT = [
    'tools = [{ transport = "http", url = "http://h/mcp?tavilyApiKey=${PLAIN}&page=search" }]',
    'tools = [{ transport = "http", url = "http://h/mcp", headers = { Cookie = "session=${PLAIN}; theme=dark" } }]',
    'tools = [{ transport = "http", url = "http://h/mcp", headers = { Authorization = "Bearer ${PLAIN}" } }]',
    'tools = [{ transport = "stdio", command = "x", args = ["--api-key", "${PLAIN}", "--max-tokens", "200"] }]',
    'tools = [{ transport = "stdio", command = "x", args = ["-e", "GITHUB_PAT=${PLAIN}", "-y", "server@1.2.3"] }]',
    'tools = [{ transport = "stdio", command = "x", env = { TOKENIZERS_PARALLELISM = "false", KEY_FILE = "/run/k" } }]',
    'options = { model_kwargs = { prompt_cache_key = "my-application" } }',
    'tools = [{ transport = "stdio", command = "x", args = ["y"], env = { GOOGLE_APPLICATION_CREDENTIALS = "/home/u/creds.json", MAX_TOKENS = "4096", TOKENS = "4096" } }]',
    'tools = [{ transport = "stdio", command = "x", args = ["--key", "/etc/ssl/key.pem"] }]',
    'tools = [{ transport = "stdio", command = "x", args = ["--secret", "projects/p/secrets/my-secret/versions/latest"] }]',
    'tools = [{ transport = "stdio", command = "x", args = ["--token-env", "MY_TOKEN"] }]',
    'tools = [{ transport = "stdio", command = "x", args = ["--token", "env:MY_TOKEN"] }]',
    'tools = [{ transport = "stdio", command = "x", args = ["--key", "user_id"] }]',
    'tools = [{ transport = "stdio", command = "x", args = ["--auth", "oauth2"] }]',
    'tools = [{ transport = "http", url = "https://server.smithery.ai/@org/some-long-server-name-here/mcp" }]',
    'tools = [{ transport = "http", url = "https://h/resolve/9f86d081884c7d659a2feaa0c55ad0159f86d081/mcp" }]',
    'options = { api_key = "not-used" }',
    'options = { api_key = "token-abc123" }',
    'options = { api_key = "EMPTY" }',
    'options = { api_key = "xxx" }',
    'options = { api_key = "sk-none" }',
    "options = { max_tokens = 400000, seed = 123456789 }",
]


@pytest.mark.parametrize("line", LITERAL)
def test_literal_keys_are_refused_and_not_repeated(tmp_path, line):
    config = tmp_path / "c.toml"
    config.write_text(f"[[workers]]\nname = 'x'\nmodel = 'openai_compatible:m@http://h/v1'\n{line}\n")
    with pytest.raises(ConfigError, match=r"\$\{MY_KEY\}") as caught:
        load_conductor(config)
    assert "private" not in str(caught.value)


@pytest.mark.parametrize("line", INNOCENT)
def test_innocent_values_are_taken(tmp_path, monkeypatch, line):
    monkeypatch.setenv("PLAIN", KEY)
    config = tmp_path / "c.toml"
    team = "[planner]\nstrategy = 'single'\nworker = 'x'\n"
    config.write_text(f"{team}[[workers]]\nname = 'x'\nmodel = 'openai_compatible:m@http://h/v1'\n{line}\n")
    assert load_conductor(config)


def test_a_guess_never_touches_what_is_known_not_to_be_one():
    assert redacted("2 + 2 = 4", ["2", "4", "true"]) == "2 + 2 = 4"

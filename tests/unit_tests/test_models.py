"""Model strings: what each becomes, and the traps of the providers' clients."""

import asyncio
import re
import subprocess
import sys
from decimal import Decimal

import pytest

from langgraph_conductor import ChatPlanner, Usage, Worker, create_conductor
from langgraph_conductor.errors import ModelError
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import FakeProviders, FakeReply, ScriptedModel, faults
from langgraph_conductor.workers import chat_model
from tests.helpers import ask, flow

STRINGS = {
    "openai": "openai:gpt-5-mini",
    "responses": "openai_responses:gpt-5-mini",
    "anthropic": "anthropic:claude-sonnet-5",
    "gemini": "google_genai:gemini-2.5-pro",
    "openrouter": "openrouter:openai/gpt-5",
}


@pytest.fixture
def providers(monkeypatch):
    with FakeProviders("Some words here.") as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.mark.parametrize("wire", STRINGS)
def test_each_string_reaches_its_wire_with_usage_and_price(wire, providers, run):
    conductor = create_conductor(fixed.single("w"), [Worker("w", STRINGS[wire])])
    result = run(conductor, ask())
    (request,) = providers.requests
    assert (request.wire, request.model) == (wire, STRINGS[wire].partition(":")[2])
    usage = Usage.from_json(result["usage"]["workers"])
    assert (usage.calls, usage.output_tokens, usage.unpriced_calls) == (1, 3, 0)
    assert usage.input_tokens > 20
    assert usage.usd > 0
    call = result["rounds"][0]["steps"][0]["model_calls"][0]
    assert call["model"] == request.model
    assert call["usage"]["usd"] == str(usage.usd)


@pytest.mark.parametrize("wire", STRINGS)
def test_usage_arrives_while_streaming(wire, providers):
    conductor = create_conductor(fixed.single("w"), [Worker("w", STRINGS[wire])])
    chunks = list(conductor.stream(ask(), stream_mode=["messages", "values"], subgraphs=True))
    tokens = [part[0].text for _, mode, part in chunks if mode == "messages"]
    assert "".join(tokens).startswith("Some words here.")
    assert len([text for text in tokens if text]) >= 3
    final = [values for namespace, mode, values in chunks if mode == "values" and not namespace][-1]
    assert final["usage"]["workers"]["output_tokens"] == 3
    assert final["usage"]["workers"]["unpriced_calls"] == 0


@pytest.mark.parametrize("wire", STRINGS)
def test_retries_are_left_to_the_worker(wire, providers, monkeypatch, run):
    monkeypatch.setattr("langgraph_conductor.workers.failures.random.uniform", lambda a, b: 0.0)
    providers.script(STRINGS[wire].partition(":")[2], faults.server_error())
    with pytest.raises(Exception, match="no worker gave an answer"):
        run(create_conductor(fixed.single("w"), [Worker("w", STRINGS[wire], retries=1)]), ask())
    assert len(providers.requests) == 2


def test_models_outlive_their_event_loop(monkeypatch):
    """In a process of its own, which must also end by itself and without a word."""
    with FakeProviders("Here.", keep_alive=True) as providers:
        for name, value in providers.environment().items():
            monkeypatch.setenv(name, value)
        script = (
            "import asyncio; from langgraph_conductor.workers import chat_model\n"
            f"for name in {list(STRINGS.values())}:\n"
            "    model = chat_model(name)\n"
            "    for _ in range(3): print(name, asyncio.run(model.ainvoke('x')).text)"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == [f"{name} Here." for name in STRINGS.values() for _ in range(3)], (
        done.stderr
    )


def test_geminis_own_temperature(providers):
    chat_model(STRINGS["gemini"]).invoke("x")
    chat_model(STRINGS["gemini"], temperature=0.2).invoke("x")
    first, second = (request.body.get("generationConfig", {}) for request in providers.requests)
    assert "temperature" not in first
    assert second["temperature"] == 0.2


SERVERS = ["vllm", "sglang", "llamacpp", "ollama", "openai_compatible"]


@pytest.mark.parametrize("server", SERVERS)
def test_servers_of_ones_own(server, providers, run):
    model = f"{server}:Qwen/Qwen3-32B@{providers.openai_url}"
    worker = Worker("w", model)
    result = run(create_conductor(fixed.single("w"), [worker]), ask())
    (request,) = providers.requests
    assert (request.model, request.key) == ("Qwen/Qwen3-32B", "none")
    assert worker.model._get_ls_params()["ls_provider"] == server
    # Whoever runs the server pays for the machine: unknown, which is not nothing.
    usage = result["usage"]["workers"]
    assert (usage["usd"], usage["unpriced_calls"], usage["output_tokens"]) == (None, 1, 3)


def test_a_servers_key_comes_from_the_environment(providers, monkeypatch):
    monkeypatch.setenv("VLLM_API_KEY", "its-key")
    chat_model(f"vllm:m@{providers.openai_url}").invoke("x")
    assert providers.requests[0].key == "its-key"


def test_where_servers_listen_by_default():
    assert chat_model("vllm:m").openai_api_base == "http://127.0.0.1:8000/v1"
    assert chat_model("ollama:qwen3:8b").model_name == "qwen3:8b"
    assert chat_model("sglang:a@b@https://gpu/v1").model_name == "a@b"


@pytest.mark.parametrize("call", ["invoke", "ainvoke", "stream", "astream"])
def test_the_reasoning_of_a_server_is_kept_apart(call, providers):
    providers.script("m", FakeReply("It is 4.", reasoning="2 and 2 make 4.", reasoning_tokens=6))
    model = chat_model(f"vllm:m@{providers.openai_url}")

    async def gathered():
        whole = None
        async for chunk in model.astream("x"):
            whole = chunk if whole is None else whole + chunk
        return whole

    if call == "astream":
        message = asyncio.run(gathered())
    elif call == "stream":
        first, *rest = list(model.stream("x"))
        message = sum(rest, first)
    else:
        message = model.invoke("x") if call == "invoke" else asyncio.run(model.ainvoke("x"))
    assert message.text == "It is 4."
    assert message.additional_kwargs["reasoning_content"] == "2 and 2 make 4."
    assert message.usage_metadata["output_token_details"]["reasoning"] == 6
    assert [block["type"] for block in message.content_blocks][:1] == ["reasoning"]


def test_prices_by_report_table_and_list(providers, run):
    providers.script(
        "openai/gpt-5", *[FakeReply("x", input_tokens=1000, output_tokens=1000, cost=0.125)] * 2
    )
    providers.script("gpt-5-mini", FakeReply("x", input_tokens=1000, output_tokens=1000, cached_tokens=400))
    price = {"input": 1, "output": 2}
    workers = [
        Worker("reported", STRINGS["openrouter"]),
        Worker("negotiated", STRINGS["openrouter"], price=price),
        Worker("own", STRINGS["openai"], price=price),
        Worker("table", STRINGS["openai"], price={"gpt-5-mini": {"input": 3, "output": 0}, "x": price}),
        Worker("listed", STRINGS["openai"]),
        Worker("unknown", f"vllm:m@{providers.openai_url}"),
    ]
    plan = fixed.workflow(flow(*((worker.name, "x", []) for worker in workers)))
    result = run(create_conductor(plan, workers), ask())
    usd = {name: used["usd"] for name, used in result["usage"]["by_worker"].items()}
    assert Decimal(usd["reported"]) == Decimal("0.125")
    assert Decimal(usd["negotiated"]) == Decimal("0.003")  # a price that is given counts before a report
    assert Decimal(usd["own"]) == Decimal("0.003")
    assert Decimal(usd["table"]) == Decimal("0.003")
    # gpt-5-mini: $0.25 in, $0.025 cached, $2 out per million tokens (genai-prices 0.2).
    assert Decimal(usd["listed"]) == Decimal("0.00216")
    assert usd["unknown"] is None
    total = result["usage"]["total"]
    assert Decimal(total["usd"]) == sum(Decimal(value) for value in usd.values() if value)
    assert total["unpriced_calls"] == 1


def test_a_planners_price_is_its_own(providers, run):
    plan = 'model_id = [0]\nsubtasks = ["x"]\naccess_list = [[]]'
    providers.script("p", FakeReply(plan, input_tokens=1000, output_tokens=1000))
    planner = ChatPlanner(
        chat_model(f"vllm:p@{providers.openai_url}"), structured=False, price={"input": 1, "output": 1}
    )
    result = run(create_conductor(planner, [Worker("w", lambda t: "x")]), ask())
    assert Decimal(result["usage"]["planner"]["usd"]) == Decimal("0.002")
    assert result["usage"]["by_round"][0]["usd"] == result["usage"]["planner"]["usd"]


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("nothing", "provider:model"),
        ("nobody:m", "provider:model"),
        ("openai:", "provider:model"),
        ("openai", "provider:model"),
        ("", "provider:model"),
        (":m", "provider:model"),
        ("vllm", "provider:model"),
        ("vllm:m@htp://host/v1", "must be a URL such as"),
        ("vllm:m@http:/host/v1", "must be a URL such as"),
        ("vllm:m@http://:8000/v1", "must be a URL such as"),
        ("vllm:m@http://host:port/v1", "worker 'w'.*[Pp]ort"),
        ("vllm:m@http://host:99999/v1", "worker 'w'.*[Pp]ort"),
        ("openai_compatible:m", "name its URL: openai_compatible:m@http://host:port/v1"),
        ("openai:gpt-5", r"worker 'w': 'openai:gpt-5' cannot be used: .*OPENAI_API_KEY"),
        ("anthropic:claude-sonnet-5", "ANTHROPIC_API_KEY"),
        ("google_genai:gemini-2.5-pro", "GOOGLE_API_KEY|GEMINI_API_KEY"),
        ("openrouter:a/b", "OPENROUTER_API_KEY"),
    ],
)
def test_strings_that_cannot_be_used_say_what_to_do(model, why):
    with pytest.raises(ValueError, match=why) as caught:
        Worker("w", model)
    assert len(str(caught.value).splitlines()) == 1


def test_a_password_in_a_url_is_not_repeated():
    for model in ("vllm:m@htp://me:private@host/v1", "nobody:m@http://me:private@host/v1"):
        with pytest.raises(ValueError, match="redacted") as caught:
            chat_model(model)
        assert "private" not in str(caught.value)


def test_a_model_is_named_once():
    with pytest.raises(ValueError, match="leave out the option 'model'"):
        chat_model("openai:m", model="z", api_key="x")


def test_another_providers_package_is_named_by_langchain():
    with pytest.raises(ImportError, match=r"pip install langchain-aws$"):
        chat_model("bedrock:x")


def test_a_missing_package_names_its_extra():
    extras = {"openai": "openai", "vllm": "vllm", "anthropic": "anthropic", "google_genai": "google",
              "openrouter": "openrouter"}  # fmt: skip
    script = (
        "import sys\n"
        "for name in ('openai', 'anthropic', 'google_genai', 'openrouter'):\n"
        "    sys.modules['langchain_' + name] = None\n"
        "from langgraph_conductor import Worker\n"
        f"for provider in {list(extras)}:\n"
        "    try: Worker('w', provider + ':m')\n"
        "    except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == len(extras)
    for line, extra in zip(lines, extras.values(), strict=True):
        assert f"pip install 'langgraph-conductor[{extra}]'" in line


def test_the_extras_are_what_the_strings_need():
    import tomllib
    from pathlib import Path

    extras = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    needed = {name: [re.split(r"[<>=]", line)[0] for line in lines] for name, lines in extras.items()}
    assert needed["openai"] == needed["vllm"] == ["langchain-openai"]
    assert needed["anthropic"] == ["langchain-anthropic"]
    assert needed["google"] == ["langchain-google-genai"]
    assert needed["openrouter"] == ["langchain-openrouter"]


def test_four_providers_work_as_one_team(capsys):
    import runpy
    from pathlib import Path

    example = Path(__file__).parents[2] / "examples" / "four_providers.py"
    done = runpy.run_path(str(example))
    assert "The Eiffel tower is 330 metres high." in capsys.readouterr().out
    asked = {(request.wire, request.model) for request in done["providers"].requests}
    assert asked == {
        ("openai", "gpt-5-mini"), ("anthropic", "claude-sonnet-5"), ("gemini", "gemini-2.5-pro"),
        ("openai", "my-model"), ("openai", "gpt-5"),
    }  # fmt: skip
    result = done["result"]
    assert [step["status"] for step in result["rounds"][0]["steps"]] == ["ok"] * 4
    assert result["usage"]["total"]["unpriced_calls"] == 0
    assert result["usage"]["by_worker"]["scout"]["calls"] == 2


# ------------------------------------------------------------------ strings, each alone


def test_what_a_string_leaves_open_options_say(monkeypatch):
    model = chat_model("openai_compatible:m", base_url="http://gpu/v1", temperature=0.5)
    assert (model.openai_api_base, model.model_name, model.temperature) == ("http://gpu/v1", "m", 0.5)
    assert chat_model("vllm:m@http://a/v1", base_url="http://b/v1").openai_api_base == "http://b/v1"
    assert chat_model("ollama:m@https://a/v1").openai_api_base == "https://a/v1"
    assert chat_model("vllm:m@x").model_name == "m@x"
    monkeypatch.setenv("SGLANG_API_KEY", "from the environment")
    assert chat_model("sglang:m").openai_api_key.get_secret_value() == "from the environment"
    assert chat_model("sglang:m", api_key="given").openai_api_key.get_secret_value() == "given"
    ports = {"vllm": 8000, "sglang": 30000, "llamacpp": 8080, "ollama": 11434}
    for server, port in ports.items():
        assert chat_model(f"{server}:m").openai_api_base == f"http://127.0.0.1:{port}/v1"


def test_clients_leave_retries_to_the_worker_unless_told():
    for name in ("vllm:m", "openai:gpt-5", "openai_responses:gpt-5", "anthropic:claude-sonnet-5"):
        assert chat_model(name, api_key="x").max_retries == 0
        assert chat_model(name, api_key="x", max_retries=3).max_retries == 3
    assert chat_model("openrouter:a/b", api_key="x").client.sdk_configuration.retry_config is None
    assert chat_model("openrouter:a/b", api_key="x", max_retries=3).client.sdk_configuration.retry_config
    assert chat_model("google_genai:gemini-2.5-pro", api_key="x").max_retries == 1
    assert chat_model("openai:gpt-5", api_key="x").stream_usage is True
    assert chat_model("openai:gpt-5", api_key="x").use_responses_api is None
    assert chat_model("openai_responses:gpt-5", api_key="x").use_responses_api is True


@pytest.mark.parametrize(
    ("model", "options", "kind"),
    [
        ("openai:gpt-5", {}, "no_key"), ("openrouter:a/b", {}, "no_key"), ("anthropic:claude-sonnet-5", {}, "no_key"),
        ("nobody:m", {}, "unknown_model"), ("nothing", {}, "unknown_model"), ("openai:", {}, "unknown_model"),
        ("vllm:", {}, "unknown_model"), ("vllm:m", {"temperature": "hot"}, None),
    ],
)  # fmt: skip
def test_which_failure_of_a_string_it_is(model, options, kind):
    with pytest.raises(ModelError, match=f"^the planner: '{model}' cannot be used: ") as caught:
        chat_model(model, "the planner", **options)
    assert caught.value.kind == kind
    assert len(str(caught.value).splitlines()) == 1


def test_an_anthropic_token_does_for_a_key(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "token")
    assert chat_model("anthropic:claude-sonnet-5").model == "claude-sonnet-5"


def test_any_other_provider_is_left_to_langchain(monkeypatch):
    import langchain.chat_models

    asked = []
    monkeypatch.setattr(
        langchain.chat_models,
        "init_chat_model",
        lambda *args, **options: asked.append((args, options)) or made[0],
    )
    made = [ScriptedModel()]
    assert chat_model("groq:llama", temperature=1) is made[0]
    assert asked == [(("groq:llama",), {"temperature": 1})]
    made = ["no model"]
    with pytest.raises(TypeError, match="model: 'groq:llama' did not give a chat model"):
        chat_model("groq:llama")

    def missing(*args, **options):
        raise ImportError("langchain_groq")

    monkeypatch.setattr(langchain.chat_models, "init_chat_model", missing)
    with pytest.raises(
        ImportError, match=r"model: 'groq:llama' needs a package .*: pip install langchain-groq"
    ):
        chat_model("groq:llama")


def test_an_error_is_told_in_its_first_line():
    from langgraph_conductor.workers.models import _first_line

    assert _first_line(ValueError("\n one\ntwo")) == "one"
    assert _first_line(ValueError("")) == "ValueError"


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_has_two_names(name):
    model = chat_model("vllm:m")

    def result(**message):
        said = {"role": "assistant", "content": "4", **message}
        generation = model._create_chat_result({"model": "m", "choices": [{"index": 0, "message": said}]})
        return generation.generations[0].message

    thought = result(**{name: "2 and 2"})
    assert thought.additional_kwargs["reasoning_content"] == "2 and 2"
    assert thought.response_metadata["model_provider"] == "vllm"
    for nothing in ("", None, ["2 and 2"]):
        assert "reasoning_content" not in result(**{name: nothing}).additional_kwargs
    both = result(reasoning="first", reasoning_content="second")
    assert both.additional_kwargs["reasoning_content"] == "first"


LIMITS = {
    **dict.fromkeys(STRINGS.values(), 300),
    **{f"{server}:m@http://127.0.0.1:9/v1": 600 for server in SERVERS},
}


@pytest.mark.parametrize("string", LIMITS)
@pytest.mark.parametrize("given", [None, 7])
@pytest.mark.parametrize("call", ["invoke", "ainvoke", "stream", "astream"])
def test_every_client_has_time_limits_and_the_users_own_come_first(
    string, given, call, providers, monkeypatch
):
    """As they arrive where connections are made; nothing is sent."""
    seen = {}

    class SeenError(Exception):
        pass

    def handle(self, request):
        seen.update(request.extensions["timeout"])
        raise SeenError

    async def handle_awaited(self, request):
        handle(self, request)

    for package in ("httpx", "httpx2"):
        monkeypatch.setattr(f"{package}.HTTPTransport.handle_request", handle)
        monkeypatch.setattr(f"{package}.AsyncHTTPTransport.handle_async_request", handle_awaited)
    in_milliseconds = string.startswith("openrouter")
    options = {} if given is None else {"timeout": given * 1000 if in_milliseconds else given}
    model = chat_model(string, **options)

    async def gathered():
        return [chunk async for chunk in model.astream("x")]

    calls = {
        "invoke": lambda: model.invoke("x"),
        "ainvoke": lambda: asyncio.run(model.ainvoke("x")),
        "stream": lambda: list(model.stream("x")),
        "astream": lambda: asyncio.run(gathered()),
    }
    with pytest.raises(Exception, match=r".|\A\Z"):
        calls[call]()
    assert seen["read"] == (given or LIMITS[string])
    assert seen["connect"] == (given or 10)


def test_a_model_of_another_provider_has_a_time_limit_where_its_class_knows_one(monkeypatch):
    from langchain_openai import ChatOpenAI

    built = []

    def init(name, **options):
        built.append(options)
        return ChatOpenAI(model=name, api_key="x", **options)

    monkeypatch.setattr("langchain.chat_models.init_chat_model", init)
    assert chat_model("other:m").request_timeout == 300
    assert chat_model("other:m", timeout=7).request_timeout == 7
    assert built == [{}, {"timeout": 300}, {"timeout": 7}]

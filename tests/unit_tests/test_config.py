"""`conductor.toml`: what it builds, and that each mistake is one clear error."""

import inspect
from decimal import Decimal

import pytest

from langgraph_conductor import (
    Budget,
    ChatPlanner,
    ConductorError,
    ConfigError,
    Worker,
    WorkerPool,
    create_conductor,
)  # fmt: skip
from langgraph_conductor.config import (
    BUDGET,
    CONDUCTOR,
    PLANNER,
    STRATEGIES,
    load_conductor,
    read_conductor,
)  # fmt: skip
from langgraph_conductor.local import worker as embedded
from langgraph_conductor.planners import TurnsPlanner, fixed
from langgraph_conductor.testing import FakeProviders, ScriptedModel
from langgraph_conductor.workers.config import LIMITER, WORKER
from langgraph_conductor.workers.limits import Limiter
from tests.helpers import ask

SMALL = """
[planner]
strategy = "single"
worker = "calc"
[[workers]]
name = "calc"
local = "calculator"
"""

WHOLE = """
[planner]
model = "openai:gpt-5-mini"
options = { max_tokens = 2000 }
show = "anonymous"
structured = false
price = { input = "1", output = 2 }
[conductor]
max_steps = 4
max_rounds = 2
fallback = "critic"
[budget]
usd = "0.50"
calls = 20
[limiters.openai]
max_concurrency = 8
requests_per_minute = 500
[[workers]]
name = "coder"
model = "openai:gpt-5"
options = { max_tokens = 4000 }
description = "Writes code."
limiter = "openai"
tags = ["cloud"]
timeout = 60
retries = 1
fallback = "critic"
[[workers]]
name = "critic"
model = "openai:gpt-5-mini"
options = { max_tokens = 100 }
limiter = "openai"
max_input_tokens = 1000
[[workers]]
name = "calc"
local = "calculator"
may_be_last = false
requests_per_minute = 10
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="conductor.toml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")


def test_everything_in_the_file_reaches_its_place(write, key):
    config = read_conductor(write(WHOLE))
    assert isinstance(config.planner, ChatPlanner)
    assert (config.planner.show, config.planner.structured) == ("anonymous", False)
    assert config.planner.model.max_tokens == 2000
    assert config.planner.prices[""].output == 2
    assert config.budget == Budget(usd=Decimal("0.50"), calls=20)
    assert config.options == {"max_steps": 4, "max_rounds": 2, "fallback": "critic"}
    assert config.workers.ordinals == {0: "coder", 1: "critic", 2: "calc"}
    coder, critic, calc = config.workers
    assert coder.limiter is critic.limiter
    assert repr(coder.limiter) == "Limiter(max_concurrency=8, requests_per_minute=500)"
    assert (coder.model.max_tokens, coder.timeout, coder.retries, coder.fallback) == (
        4000,
        60,
        1,
        "critic",
    )
    assert coder.tags == {"cloud"}
    assert critic.max_input_tokens == 1000
    assert not calc.may_be_last
    assert calc.description == "exact arithmetic with numbers"
    assert config.build().name == "conductor"


def test_a_loaded_conductor_answers_and_overrides_win(write, run):
    assert run(load_conductor(write(SMALL)), ask("What is 6 * 7?"))["answer"] == "42"
    other = fixed.single("other")
    conductor = load_conductor(
        write(SMALL), planner=other, workers=[Worker("other", lambda task: "mine")], name="named"
    )
    result = run(conductor, ask())
    assert result["answer"] == "mine"
    assert result["messages"][-1].name == "named"


def test_real_clients_from_a_file(write, run, monkeypatch):
    # The double's plan ends with the last worker, which has to be allowed.
    text = WHOLE.replace('show = "anonymous"\nstructured = false\n', "").replace('usd = "0.50"\n', "")
    text = text.replace("may_be_last = false\n", "")
    with FakeProviders() as providers:
        for name, value in providers.environment().items():
            monkeypatch.setenv(name, value)
        result = run(load_conductor(write(text)), ask())
    assert result["answer"]
    assert {request.model for request in providers.requests} == {"gpt-5-mini", "gpt-5"}


def test_a_pool_alone(write, key):
    pool = WorkerPool.from_config(write(WHOLE), embedded=embedded)
    assert pool.names == ("coder", "critic", "calc")
    with pytest.raises(ConfigError, match=r"`local`: .*from_config\(path, embedded="):
        WorkerPool.from_config(write(SMALL))


def test_tools_are_mcp_servers_and_may_name_the_environment(write, key, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "langgraph_conductor.workers.worker.mcp_servers", lambda tools, name: seen.extend(tools) or tools
    )
    monkeypatch.setenv("MY_TOKEN", "s3cret-value")
    text = """
[[workers]]
name = "w"
model = "openai:gpt-5"
tools = [
  { transport = "stdio", command = "python" },
  { transport = "http", url = "http://127.0.0.1:1/mcp", headers = { Authorization = "Bearer ${MY_TOKEN}" } },
]
"""
    WorkerPool.from_config(write(text))
    assert seen[0] == {"transport": "stdio", "command": "python"}
    assert seen[1]["headers"] == {"Authorization": "Bearer s3cret-value"}
    monkeypatch.delenv("MY_TOKEN")
    with pytest.raises(ConfigError, match=r"tools 1: the environment variable MY_TOKEN is not set"):
        WorkerPool.from_config(write(text))


MISTAKES = {
    "planer = 1": r"`planer`: there is no such key; did you mean 'planner'",
    "[planner\n": r"is not TOML: .*at line 1",
    "[conductor]\nmax_step = 3": r"\[conductor\], `max_step`: .*did you mean 'max_steps'\? allowed: max_steps, max_rounds",
    "[conductor]\nmax_steps = '3'": r"\[conductor\], `max_steps`: must be a whole number, not '3'",
    "[conductor]\nmax_steps = true": r"`max_steps`: must be a whole number",
    "[conductor]\nmax_steps = 0": r"max_steps must be a whole number from 1 up",
    "[conductor]\nfallback = 'x'": r"fallback 'x' must be a worker that may be last: one of \['calc'\]",
    "[conductor]\non_step_error = 'x'": r"on_step_error must be",
    "[budget]\nusd = -1": r"\[budget\]: budget: usd must be a number above 0",
    "[budget]\n": r"\[budget\]: a budget needs at least one limit",
    "[budget]\neuro = 1": r"\[budget\], `euro`: there is no such key",
    "[limiters]\nx = 3": r"\[limiters.x\]: must be a table with max_concurrency",
    "[limiters.x]\nmax_concurrency = 0": r"\[limiters.x\]: max_concurrency must be a whole number from 1 up",
    "[[workers]]\nname = 'calc'\nlocal = 'calculator'": r"\[\[workers\]\] 1 'calc', `name`: another worker has this name",
    "[[workers]]\nlocal = 'calculator'": r"\[\[workers\]\] 1, `name`: is missing; it must be text",
    "[[workers]]\nname = 'x'": r"\[\[workers\]\] 1 'x': needs either `model`",
    "[[workers]]\nname = 'x'\nlocal = 'abacus'": r"there is no embedded worker 'abacus'; choose from smollm2, calculator",
    "[[workers]]\nname = 'x'\nlocal = 'calculator'\nlimiter = 'opnai'\n[limiters.openai]\nmax_concurrency = 1":
        r"`limiter`: there is no such limiter; did you mean 'openai'",
    "[[workers]]\nname = 'x'\nlocal = 'calculator'\noptions = {}": r"`options`: is for workers with `model`",
    "[[workers]]\nname = 'x'\nlocal = 'calculator'\nretries = -1": r"1 'x': worker 'x': retries must be a number from 0",
    "[[workers]]\nname = 'x'\nlocal = 'calculator'\nfallback = 'y'": r"its fallback 'y' is not in the pool",
    "[[workers]]\nname = 'x'\nlocal = 'calculator'\ntags = 'a'": r"`tags`: must be a list of texts",
    "[[workers]]\nname = 'a b'\nlocal = 'calculator'": r"worker name 'a b': use letters",
    "[[workers]]\nname = 'x'\nmodel = 'nope:m'": r"`model`: worker 'x': 'nope:m' cannot be used",
    "[[workers]]\nname = 'x'\nmodel = 'openai:m'\noptions = { max_tokenz = 3 }":
        r"options, `max_tokenz`: there is no such option of ChatOpenAI; did you mean 'max_tokens'",
    "[[workers]]\nname = 'x'\nmodel = 'openai:m'\ntools = [{ transport = 'stdoi' }]":
        r"1 'x', tools 0, `transport`: there is no such transport; did you mean 'stdio'",
    "[[workers]]\nname = 'x'\nmodel = 'openai:m'\ntools = [{ transport = 'stdio' }]": r"`command`: is missing",
}  # fmt: skip


@pytest.mark.parametrize("extra", MISTAKES)
def test_each_mistake_names_its_place_and_what_is_allowed(write, key, extra):
    # Top-level keys must stand before the first table.
    text = f"{extra}\n{SMALL}" if extra.startswith(("planer", "[planner")) else f"{SMALL}\n{extra}"
    with pytest.raises(ConfigError, match=MISTAKES[extra]) as caught:
        load_conductor(write(text))
    assert str(caught.value).startswith(str(write(text)))
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ConductorError)
    assert isinstance(caught.value, ValueError)


PLANNERS = {
    "": r"there is no \[planner\]",
    "[planner]": r"\[planner\]: needs either `model` or `strategy`, one of single",
    "[planner]\nstrategy = 'sngle'": r"`strategy`: there is no such strategy; did you mean 'single'",
    "[planner]\nstrategy = 'self_reflection'\nworker = 'calc'": r"\[planner\], `k`: is missing; it must be a whole number",
    "[planner]\nstrategy = 'self_reflection'\nworker = 'calc'\nk = 0": r"\[planner\]: k must be at least 1",
    "[planner]\nstrategy = 'single'\nworker = 'nobody'": r"there is no worker 'nobody'",
    "[planner]\nmodel = 'openai:m'\nshow = 'all'": r"\[planner\]: show must be",
    "[planner]\nmodel = 'openai:m'\nworker = 'calc'": r"\[planner\], `worker`: there is no such key",
}


@pytest.mark.parametrize("planner", PLANNERS)
def test_mistakes_of_the_planner(write, key, planner):
    text = f"{planner}\n[[workers]]\nname = 'calc'\nlocal = 'calculator'"
    with pytest.raises(ConfigError, match=PLANNERS[planner]):
        load_conductor(write(text))


@pytest.mark.parametrize("name", sorted(set(STRATEGIES) - {"local"}))
def test_every_strategy_can_be_written(write, name):
    values = {"worker": '"calc"', "judge": '"calc"', "subtask": '"Do."', "n": "2", "k": "1", "layers": "1",
              "proposers": '["calc"]', "aggregator": '"calc"', "seed": "1", "max_steps": "2"}  # fmt: skip
    given = "\n".join(f"{key} = {values[key]}" for key in STRATEGIES[name])
    text = f"[planner]\nstrategy = '{name}'\n{given}\n[[workers]]\nname = 'calc'\nlocal = 'calculator'"
    assert load_conductor(write(text)).invoke(ask("What is 2 + 2?"))["answer"] == "4"


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file"):
        load_conductor(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_conductor(tmp_path)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load_conductor(tmp_path / "bytes.toml")
    (tmp_path / "deep.toml").write_text("x = " + "[" * 100_000)
    with pytest.raises(ConfigError, match=r"is nested too deeply|is not TOML"):
        load_conductor(tmp_path / "deep.toml")
    (tmp_path / "empty.toml").write_text("")
    with pytest.raises(ConfigError, match=r"there is no worker; add \[\[workers\]\]"):
        load_conductor(tmp_path / "empty.toml")


@pytest.mark.parametrize(
    "line",
    [
        'options = { api_key = "very-private" }',
        'options = { openai-api-key = "very-private" }',
        'options = { default_headers = { Authorization = "very-private" } }',
        'fallback = "sk-proj-very-private-0123456789"',
        'options = { base_url = "http://me:very-private@host/v1" }',
        'options = { api_key = "very-private ${MY_KEY}" }',
        'options = { api_key = "${MY_KEY}very-private" }',
        'tools = [{ transport = "stdio", command = "x", env = { GITHUB_TOKEN = "very-private" } }]',
        'tools = [{ transport = "stdio", command = "x", args = ["sk-proj-very-private-0123456789"] }]',
        'api_key = "very-private"',
    ],
)
def test_keys_are_refused_and_not_repeated(write, line):
    text = f"{SMALL}\n[[workers]]\nname = 'x'\nmodel = 'openai:m'\n{line}"
    with pytest.raises(ConfigError, match="environment variables such as OPENAI_API_KEY") as caught:
        load_conductor(write(text))
    assert "private" not in str(caught.value)


def test_a_byte_order_mark_is_no_mistake(tmp_path, key):
    path = tmp_path / "bom.toml"
    path.write_text(f"{SMALL}\n[[workers]]\nname = 'x'\nmodel = 'openai:m'", encoding="utf-8-sig")
    assert load_conductor(path)


def test_a_password_in_a_model_string_is_refused_and_not_repeated(write):
    text = f"{SMALL}\n[[workers]]\nname = 'x'\nmodel = 'vllm:m@http://me:private@host/v1'"
    with pytest.raises(ConfigError, match="environment variables such as OPENAI_API_KEY") as caught:
        load_conductor(write(text))
    assert "private" not in str(caught.value)


def test_what_only_sounds_like_a_key_is_taken(write, key, monkeypatch):
    monkeypatch.setenv("MY_PASSWORD", "very-private")
    text = f"""{SMALL}
[limiters.my-token]
max_concurrency = 1
[[workers]]
name = "x"
model = "openai:m"
description = "Knows what api_key=abc123 and sk-proj-0123456789abcdef mean, and sk-learn-version."
limiter = "my-token"
options = {{ max_tokens = 5, base_url = "http://me:${{MY_PASSWORD}}@127.0.0.1:1/v1" }}
"""
    assert load_conductor(write(text))


def test_a_missing_package_and_a_missing_key_are_named(write, key, monkeypatch):
    text = f"{SMALL}\n[[workers]]\nname = 'x'\nmodel = 'mistralai:m'"
    with pytest.raises(ImportError, match="pip install langchain-mistralai"):
        load_conductor(write(text))
    monkeypatch.delenv("OPENAI_API_KEY")
    text = f"{SMALL}\n[[workers]]\nname = 'x'\nmodel = 'openai:m'"
    with pytest.raises(ConfigError, match="OPENAI_API_KEY") as caught:
        load_conductor(write(text))
    assert caught.value.__cause__.kind == "no_key"


def test_the_file_knows_every_option_of_the_code():
    def options(function):
        return set(inspect.signature(function).parameters) - {"self"}

    only_python = {"runnable", "middleware"}
    assert set(WORKER) == options(Worker.__init__) - only_python | {"model", "local", "options"}
    assert set(LIMITER) == options(Limiter.__init__)
    assert set(PLANNER) == options(ChatPlanner.__init__) - {"examples"} | {"options"}
    assert set(BUDGET) == options(Budget.__init__)
    only_python = {
        "planner",
        "workers",
        "budget",
        "get_question",
        "context_schema",
        "checkpointer",
        "store",
        "cache",
        "approve",  # the command line has an option for it
    }
    assert set(CONDUCTOR) == options(create_conductor) - only_python
    for name, arguments in STRATEGIES.items():
        if name != "local":
            assert set(arguments) == options(getattr(fixed, name))
    of_python = {"FixedPlanner", "ReviewedPlanner", "reviewed", "workflow"}
    assert set(STRATEGIES) == set(fixed.__all__) - of_python | {"local"}


def test_the_readme_has_a_configuration_that_loads(write, monkeypatch):
    import re
    from pathlib import Path

    import langgraph_conductor

    readme = (Path(langgraph_conductor.__file__).parents[1] / "README.md").read_text()
    blocks = re.findall(r"```toml\n(.*?)```", readme, re.DOTALL)
    assert blocks
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    for text in blocks:
        assert load_conductor(write(text)).name


def test_a_fake_model_can_stand_in(write, monkeypatch):
    monkeypatch.setattr(
        "langgraph_conductor.workers.config.chat_model",
        lambda model, what, **options: ScriptedModel(replies=[f"I am {model}"]),
    )
    text = "[planner]\nstrategy = 'single'\nworker = 'x'\n[[workers]]\nname = 'x'\nmodel = 'a:b'"
    assert load_conductor(write(text)).invoke(ask())["answer"] == "I am a:b"


DEEP = ".".join(["a"] * 2_000)
HUGE, LARGE = "1" + "0" * 5_000, "1" + "0" * 400
ODD = {
    f"{DEEP} = 1\n{SMALL}": "is nested too deeply",
    f"{SMALL}\noptions.{DEEP} = 1": "is nested too deeply",
    f"x = {'[' * 400}{']' * 400}\n{SMALL}": "is nested too deeply|is not TOML",
    f"x = {HUGE}\n{SMALL}": "is not TOML: Exceeds the limit",
    f'"a.b" = 1\n{SMALL}': "`a.b`: there is no such key",
    f"pool.x.y = 3\n{SMALL}": "`pool`: there is no such key",
    "workers.x.y = 3": "`workers`: must be a list of tables",
    f"{SMALL}\nname.x = 1": "is not TOML",
    f"{SMALL}\n[budget]\nseconds = {LARGE}": r"\[budget\], `seconds`: must be a number, not 1000",
    f"{SMALL}\n[budget]\nusd = 1e999": r"\[budget\]: budget: usd must be",
    f"{SMALL}\ntimeout = {LARGE}": r"\[\[workers\]\] 0 'calc', `timeout`: must be a number",
    f"{SMALL}\nrequests_per_minute = {LARGE}": r"0 'calc', `requests_per_minute`: must be a number",
    SMALL.replace(
        '"single"', '"self_consistency"\nn = 1000000000'
    ): r"\[planner\]: n must be at most 1,000",
    SMALL.replace('name = "calc"', 'name = "a\\u0000b"'): r"worker name 'a\\x00b'",
}


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_odd_files_are_one_error_that_names_the_place(write, text):
    with pytest.raises(ConfigError, match=ODD[text]) as caught:
        load_conductor(write(text))
    assert str(write(text)) in str(caught.value)


def test_a_path_that_none_can_have_is_one_error():
    with pytest.raises(ConfigError, match="cannot be read"):
        load_conductor("a\0b")


# ------------------------------------------------------------------ turn by turn, instructions

CALC = "[[workers]]\nname = 'calc'\nlocal = 'calculator'"


def test_turn_by_turn_is_a_strategy_with_a_model(write, key):
    text = f"[planner]\nstrategy = 'turns'\nmodel = 'openai:gpt-x'\nshow = 'anonymous'\nretries = 1\n{CALC}"
    config = read_conductor(write(text))
    assert isinstance(config.planner, TurnsPlanner)
    assert (config.planner.show, config.planner.retries) == ("anonymous", 1)
    assert config.options == {"max_rounds": 8}
    config.build()
    chosen = read_conductor(write(f"[conductor]\nmax_rounds = 3\n{text}"))
    assert chosen.options == {"max_rounds": 3}


def test_turn_by_turn_without_a_model_is_refused(write):
    with pytest.raises(ConfigError, match=r'strategy = "turns" needs a `model`'):
        read_conductor(write(f"[planner]\nstrategy = 'turns'\n{CALC}"))
    with pytest.raises(ConfigError, match="turns"):
        read_conductor(write(f"[planner]\nstrategy = 'turn'\n{CALC}"))


def test_instructions_of_a_planner(write, key):
    text = "[planner]\nmodel = 'openai:gpt-x'\ninstructions = {}\n" + CALC
    assert read_conductor(write(text.format("'Be brief.'"))).planner.instructions == "Be brief."
    for wrong in ("' '", "''", "1"):
        with pytest.raises(ConfigError, match="instructions"):
            read_conductor(write(text.format(wrong)))

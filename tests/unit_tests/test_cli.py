import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from langgraph_conductor import LocalModelError, Worker, WorkerPool, create_conductor, local
from langgraph_conductor.cli.app import app
from langgraph_conductor.display import describe
from langgraph_conductor.display.words import printable
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import ACCEPT_TEXT, FakeProviders, ScriptedModel, faults, plan_text
from tests.helpers import Recorder, ScriptedPlanner, ask, flow


@pytest.fixture
def scripted(monkeypatch):
    """`ask` with scripted models in place of the embedded ones."""

    def use(*replies, workers=None):
        pool = workers or [Worker("a", ScriptedModel(replies=["from a"])), Worker("b", lambda t: "from b")]
        monkeypatch.setattr(local, "planner", lambda: ScriptedModel(replies=list(replies)))
        monkeypatch.setattr(local, "workers", lambda: WorkerPool(pool))

    return use


def command(*arguments):
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def test_ask_prints_the_run_plainly(scripted):
    scripted(plan_text(("a", "Do it.", []), ("b", "Check it.", [0])))
    done = command("ask", "What is it?", "--report")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("round 0: parsed unaided, ")
    assert "  workflow: step 0, then step 1" in lines
    assert "    granted: the question, step 0" in lines
    assert "answer: from b" in lines
    assert "\x1b" not in done.stdout


def test_ask_as_json_and_its_options(scripted):
    scripted(plan_text(("a", "Do it.", [])), ACCEPT_TEXT)
    done = command("ask", "What is it?", "--json", "--max-rounds", "4")
    told = json.loads(done.stdout)
    assert told["answer"] == "from a"
    assert [r["accepted"] for r in told["rounds"]] == [False, True]
    scripted(plan_text(("a", "x", []), ("a", "y", [])))
    told = json.loads(command("ask", "What is it?", "--json", "--max-steps", "1").stdout)
    assert told["rounds"][0]["plan"]["reached"] == "fallback"
    assert "2 steps are too many" in told["rounds"][0]["plan"]["error"]["message"]


def test_json_is_printed_without_what_commands_a_terminal(scripted):
    said = "a\x9b2J\u202eb\u2028c\x1b[2J\x7f é"
    scripted(
        plan_text(("a", "Do it.", [])), workers=[Worker("a", lambda t: said), Worker("b", lambda t: "b")]
    )
    done = command("ask", "What is it?", "--json", "--max-rounds", "1")
    assert json.loads(done.stdout)["answer"] == said
    assert not set("\x9b\u202e\u2028\x1b\x7f") & set(done.stdout)
    assert "\\u009b2J\\u202eb" in done.stdout
    assert "é" in done.stdout


def test_errors_are_one_line_and_exit_code_1(scripted, monkeypatch):
    scripted("x", workers=[Worker("a", Recorder("a", ValueError("broken")))])
    done = command("ask", "What is it?")
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("error: no worker gave an answer; round 0, planner: ")
    assert "Traceback" not in done.stderr
    assert command("ask", " ").exit_code == 2

    def missing():
        raise LocalModelError("there is no model; do this")

    monkeypatch.setattr(local, "planner", missing)
    assert command("ask", "hi", "-q").stderr == "error: there is no model; do this\n"


def test_bad_options_are_refused():
    for arguments in (
        ["ask"],
        ["ask", "x", "--max-steps", "0"],
        ["ask", "x", "--max-rounds", "no"],
        ["nope"],
    ):
        done = command(*arguments)
        assert done.exit_code == 2
        assert "Traceback" not in done.stderr


def test_without_typer_it_names_the_extra():
    script = "import sys; sys.modules['typer'] = None; from langgraph_conductor.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 4  # as the help says of a missing package
    assert done.stderr == "error: this command needs typer: pip install 'langgraph-conductor[cli,local]'\n"


# ------------------------------------------------------------------- describe


def test_describe_tells_rounds_grants_failures_and_money():
    planner = ScriptedPlanner(
        flow(("a", "one", []), ("b", "two", []), ("a", "three", [0, 1])),
        flow(("a", "four", "all")),
        KeyError("x"),
    )
    workers = [
        Worker("a", ScriptedModel(replies=["yes " * 400]), price={"input": 1, "output": 1}),
        Worker("b", Recorder("b", ValueError("no"))),
    ]
    text = describe(create_conductor(planner, workers, max_rounds=3).invoke(ask()))
    for part in (
        "  workflow: step 0 beside step 1, then step 2",
        "    failed:  ValueError: no",
        "    granted: the question, step 0 of round 0, step 1 of round 0, step 2 of round 0",
        "round 2: planning failed, fallback",
        "  why: KeyError: 'x'",
        "  the earlier answer is kept",
        "$0.00",
        "…",
    ):
        assert part in text
    assert max(map(len, text.splitlines()[:-4])) < 420


def test_describe_word_for_word():
    model = ScriptedModel(replies=["one two"])
    planner = ScriptedModel(replies=[plan_text(("a", "Say it.", []), ("f", "Check it.", [0])), ACCEPT_TEXT])
    workers = [Worker("a", model), Worker("f", lambda t: "three")]
    result = create_conductor(planner, workers, max_rounds=2).invoke(ask())
    told = re.sub(r"[0-9]+\+", "N+", re.sub(r"[0-9]+\.[0-9] s", "T s", describe(result)))
    assert told == "\n".join(
        [
            "round 0: parsed unaided, N+19 tokens, T s",
            "  workflow: step 0, then step 1",
            "  step 0: a  [N+2 tokens, T s]",
            "    asked:   Say it.",
            "    granted: the question",
            "    said:    one two",
            "  step 1: f  [no model, T s]",
            "    asked:   Check it.",
            "    granted: the question, step 0",
            "    said:    three",
            "round 1: parsed unaided, N+12 tokens, T s",
            "  the earlier answer is kept",
            "",
            "answer: three",
            "",
            "used: 2 calls (N+31 tokens) of the planner, 1 call (N+2 tokens) of workers, T s",
        ]
    )


def test_describe_says_what_has_no_price():
    workers = [Worker("a", ScriptedModel(), price={"input": 1, "output": 1}), Worker("b", ScriptedModel())]
    planner = fixed.workflow(flow(("a", "one", []), ("b", "two", [])))
    assert "and 1 call without a known price" in describe(create_conductor(planner, workers).invoke(ask()))


# ------------------------------------------------------- configuration, streams, exit codes

ALONE = '[planner]\nstrategy = "single"\nworker = "w"\n'
CALCULATOR = ALONE + '[[workers]]\nname = "w"\nlocal = "calculator"\ntags = ["exact"]\n'


def one_model(model, more=""):
    return f'{ALONE}[[workers]]\nname = "w"\nmodel = "{model}"\nretries = 0\n{more}'


@pytest.fixture
def write(tmp_path):
    def write(text, name="conductor.toml"):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


@pytest.fixture
def providers(monkeypatch):
    with FakeProviders() as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running


def one_line(done, code):
    assert done.exit_code == code, done.stderr
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert "Traceback" not in done.stderr
    return last


def test_progress_goes_to_stderr_and_the_answer_alone_to_stdout(write):
    path = write(CALCULATOR)
    done = command("ask", "What is 6 * 7?", "--config", path)
    assert done.stdout == "42\n"
    told = done.stderr.splitlines()
    assert told[:2] == [f"reading {path} ...", "round 0: 1 step, a fixed strategy"]
    assert sum("step 0 (w): done" in line for line in told) == 1
    assert told[-1].startswith("used: 0 calls of the planner, ")
    done = command("ask", "What is 6 * 7?", "--config", path, "--report")
    assert done.stdout.splitlines()[0] == "round 0: a fixed strategy"
    assert "answer: 42" in done.stdout
    assert "used: " not in done.stderr
    done = command("ask", "What is 6 * 7?", "--config", path, "--json")
    assert json.loads(done.stdout)["answer"] == "42"
    assert json.loads(done.stdout)["stopped"] == ""
    done = command("ask", "What is 6 * 7?", "--config", path, "--quiet")
    assert (done.stdout, done.stderr) == ("42\n", "")


def test_options_of_a_run(write):
    second = '[[workers]]\nname = "v"\nlocal = "wordsmith"\ntags = ["words"]\n'
    path = write(CALCULATOR.replace('"single"\nworker = "w"', '"random_router"\nseed = 1') + second)
    for chosen in (("--worker", "exact"), ("--exclude", "words"), ("--exclude", "v")):
        told = json.loads(command("ask", "1 + 1", "-c", path, "--json", *chosen).stdout)
        assert told["rounds"][0]["steps"][0]["worker"] == "w"
    for wrong in (("--worker", "nobody"), ("--exclude", "w", "--exclude", "v"), ("--limit-usd", "much")):
        done = command("ask", "1 + 1", "-c", path, *wrong)
        assert done.exit_code == 2
        assert "Traceback" not in done.stderr


def test_limits_of_a_run_are_laid_over_the_files(write, providers):
    path = write(
        one_model("openai:gpt-5", "options = { max_tokens = 100 }\nprice = { input = 1, output = 1 }\n")
        + "[budget]\ncalls = 5\n"
    )
    assert "ends here" in one_line(command("ask", "x", "-c", path, "--limit-usd", "0.000001"), 7)
    assert providers.requests == ()
    assert command("ask", "x", "-c", path, "--limit-usd", "1").exit_code == 0


def test_exit_codes_of_configurations(write, monkeypatch):
    assert "there is no such file" in one_line(command("ask", "x", "-c", "none.toml"), 3)
    assert "did you mean 'worker'" in one_line(
        command("check", "-c", write(CALCULATOR.replace("worker =", "wrker ="))), 3
    )
    assert "OPENAI_API_KEY" in one_line(command("ask", "x", "-c", write(one_model("openai:gpt-5"))), 4)
    assert "GOOGLE_API_KEY" in one_line(command("ask", "x", "-c", write(one_model("google_genai:g"))), 4)
    assert "OPENROUTER_API_KEY" in one_line(
        command("ask", "x", "-c", write(one_model("openrouter:a/b"))), 4
    )
    assert "pip install" in one_line(command("ask", "x", "-c", write(one_model("mistralai:m"))), 4)
    assert '"provider:model"' in one_line(command("ask", "x", "-c", write(one_model("nope:m"))), 5)
    assert command("draw").exit_code == 2
    assert command("draw", "--question", " ").exit_code == 2


@pytest.mark.parametrize(
    "provider", ["openai", "anthropic", "google_genai", "openrouter", "openai_responses"]
)
def test_exit_codes_of_providers(write, providers, provider):
    path = write(one_model(f"{provider}:m"))
    for fault, code in (
        (faults.unknown_model(), 5),
        (faults.bad_key(), 4),
        (faults.server_error(), 1),
        (faults.rate_limited(), 1),
    ):
        providers.script("m", fault)
        last = one_line(command("ask", "x", "-c", path), code)
        assert not any(value in last for name, value in providers.environment().items() if "KEY" in name)


def test_exit_codes_of_servers_and_mixed_failures(write, providers):
    unreachable = f"vllm:m@{faults.refused_url()}"
    assert "onnection" in one_line(command("ask", "x", "-c", write(one_model(unreachable))), 6)
    text = f"""
[planner]
model = "openai:m"
retries = 0
[[workers]]
name = "w"
model = "{unreachable}"
retries = 0
"""
    providers.script("m", faults.unknown_model())
    assert "planner" in one_line(command("ask", "x", "-c", write(text)), 1)  # of two kinds


def test_an_unreachable_planner_is_no_failure_but_is_said(write):
    text = f"""
[planner]
model = "vllm:m@{faults.refused_url()}"
retries = 0
[[workers]]
name = "w"
local = "calculator"
"""
    for quiet in ([], ["--quiet"]):
        done = command("ask", "What is 6 * 7?", "-c", write(text), *quiet)
        assert done.exit_code == 0
        assert "42" in done.stdout
        (note,) = [line for line in done.stderr.splitlines() if line.startswith("note: ")]
        assert note.startswith("note: round 0 could not be planned, one worker answered alone: ")
    done = command("draw", "--question", "What is 6 * 7?", "-c", write(text))
    assert "planning failed" in one_line(done, 6)


def test_check_builds_everything_and_calls_nobody(write, providers):
    text = """
[planner]
model = "openai:gpt-5-mini"
options = { max_tokens = 100 }
[budget]
usd = "0.50"
[conductor]
max_steps = 4
[[workers]]
name = "coder"
model = "openai:gpt-5"
options = { max_tokens = 4000 }
description = "Writes code."
max_concurrency = 3
timeout = 30
fallback = "calc"
[[workers]]
name = "calc"
local = "calculator"
"""
    done = command("check", "-c", write(text))
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines() == [
        "planner: openai:gpt-5-mini, at most 100 tokens a reply, price known; is shown workers described, "
        "writes under a schema",
        "worker 0: coder: openai:gpt-5, at most 4000 tokens a reply, price known",
        "  Writes code.",
        "  limiter: Limiter(max_concurrency=3); timeout: 30 s; retries: 2; fallback: calc",
        "worker 1: calc: no model",
        "  exact arithmetic with numbers",
        "  retries: 2",
        "budget:  $0.5",
        "options: max_steps=4",
    ]
    assert providers.requests == ()
    unbounded = text.replace("options = { max_tokens = 4000 }", "").replace('openai:gpt-5"', 'vllm:m"')
    assert "has no output cap" in one_line(command("check", "-c", write(unbounded)), 3)


TWO = flow(("a", "One.", []), ("b", "Two.", [0]))


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(TWO.to_json()),
        json.dumps({"workflow": TWO.to_json()}),
        json.dumps({"answer": "x", "rounds": [{"workflow": TWO.to_json(), "answer": "x"}, {"workflow": None, "answer": ""}]}),
        "Reasoning.\n" + TWO.to_text(),
    ],
)  # fmt: skip
def test_draw_reads_every_form(write, text):
    path = write(text, "workflow")
    done = command("draw", path)
    assert done.stdout == TWO.to_mermaid() + "\n"
    piped = CliRunner().invoke(app, ["draw", "-"], input=text)
    assert piped.stdout == done.stdout


def test_draw_refuses_what_is_no_workflow(write):
    one_line(command("draw", write("no plan at all", "x")), 1)
    one_line(command("draw", write('{"rounds": []}', "x")), 1)
    assert "no round of this output" in one_line(command("draw", write('{"rounds": 5}', "x")), 1)
    one_line(command("draw", "none.json"), 1)


def test_draw_plans_a_question_and_pays_the_planner_alone(write, providers):
    workers = "".join(f'[[workers]]\nname = "{name}"\nmodel = "openai:{name}"\n' for name in ("x", "y"))
    done = command(
        "draw", "--question", "Why?", "-c", write(f'[planner]\nmodel = "openai:gpt-5"\n{workers}')
    )
    assert done.stdout.splitlines()[1:] == [
        '    s0["0 · x: Do it."]',
        '    s1["1 · y: Check it and answer."]',
        "    s0 --> s1",
    ]
    assert [request.model for request in providers.requests] == ["gpt-5"]


def test_describe_says_who_answered_instead_and_why_it_stopped():
    workers = [
        Worker("a", Recorder("a", ValueError("no luck")), fallback="b"),
        Worker("b", ScriptedModel(replies=["fine"]), price={"input": 0, "output": 1}),
    ]
    result = create_conductor(fixed.single("a"), workers).invoke(ask())
    told = describe(result | {"stopped": "the budget of 1 call ends here"})
    assert "    failed:  ValueError: no luck\n    instead: b\n    said:    fine" in told
    assert re.search(r"step 0: a  \[\d+\+1 tokens, \$0\.000001, ", told)
    assert "stopped: the budget of 1 call ends here\nused: " in told


SCRIPT = "from langgraph_conductor.cli import main; main()"


def test_a_real_process_keeps_its_streams_apart(write):
    def process(*arguments):
        return subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True)

    done = process("ask", "What is 6 * 7?", "-c", write(CALCULATOR), "--json")
    assert (done.returncode, json.loads(done.stdout)["answer"]) == (0, "42")
    assert done.stderr.splitlines()[1].startswith("round 0: 1 step")
    done = process("ask", "x", "-c", write(one_model("openai:gpt-5")))
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (4, "", 2)


def test_ctrl_c_is_one_line_and_130(write, providers):
    providers.script("m", faults.slow_headers(30))
    # In the background of a shell without job control, programs are started with Ctrl-C ignored.
    heeding = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); {SCRIPT}"
    running = subprocess.Popen(
        [sys.executable, "-c", heeding, "ask", "x", "-c", write(one_model("openai:m")), "--quiet"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        end = time.monotonic() + 20
        while not providers.requests and time.monotonic() < end:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        said = running.communicate(timeout=20)
    finally:
        running.kill()
        running.communicate()
    assert (running.returncode, said) == (130, ("", "interrupted\n"))


def test_no_character_turns_the_text_or_breaks_the_line():
    assert (
        printable("a\u202eb\u2066c\u2028d\u2029e\x1bf\tg\nh")
        == "a\ufffdb\ufffdc\ufffdd\ufffde\ufffdf\tg\nh"
    )
    assert printable("שלום, é 👩\u200d🚀") == "שלום, é 👩\u200d🚀"


# ------------------------------------------------------------------- files that are not what they should be

ODD = {
    "folder": lambda path: path.mkdir(),
    "pipe": os.mkfifo if hasattr(os, "mkfifo") else lambda path: path.mkdir(),
    "missing": lambda path: None,
    "deep": lambda path: path.write_text(
        "x = " + "[" * 100_000 if path.suffix == ".toml" else "[" * 100_000
    ),
    "dotted": lambda path: path.write_text(".".join("a" * 5_000) + " = 1"),
    "huge": lambda path: path.write_text("x = " + "9" * 9_000 if path.suffix == ".toml" else "9" * 9_000),
    "bytes": lambda path: path.write_bytes(b"\xff\xfe\x00abc"),
    "NUL": lambda path: path.write_bytes(bytes(5_000)),
}
READERS = {
    "check": ("toml", ("check", "-c", "{}")),
    "draw": ("json", ("draw", "{}")),
    "eval": ("jsonl", ("eval", "{}", "-c", "ok.toml", "--out", "out")),
    "profiles": ("json", ("eval", "ok.jsonl", "-c", "ok.toml", "--out", "out", "--profiles", "{}")),
    "train": ("toml", ("train", "-c", "{}", "--forecast")),
    "show": ("db", ("show", "t", "--saver", "sqlite:{}")),
    "store": ("db", ("eval", "ok.jsonl", "-c", "ok.toml", "--out", "out", "--store", "{}")),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("reader", READERS)
def test_a_file_that_is_not_what_it_should_be_is_one_clear_line(tmp_path, monkeypatch, odd, reader):
    if (odd, reader) == ("missing", "store"):
        pytest.skip("it is made")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none-0123456789")
    Path("ok.toml").write_text(
        '[planner]\nmodel = "openai:gpt-5"\n[[workers]]\nname = "a"\nmodel = "openai:gpt-5"\n'
    )
    asked = {"question": "What is 1 plus 1?", "answer": "2", "grader": "number"}
    Path("ok.jsonl").write_text("\n".join(json.dumps({**asked, "split": one}) for one in ("train", "test")))
    ending, arguments = READERS[reader]
    path = Path(f"odd.{ending}")
    ODD[odd](path)
    done = command(*(argument.replace("{}", str(path)) for argument in arguments))
    assert done.exit_code in (1, 2, 3)
    assert "Traceback" not in done.stderr
    assert "Error:" not in done.stderr.replace("Usage", "")  # no name of a class of Python's
    if done.exit_code != 2:
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: ")


# ------------------------------------------------------------------- pipes, stdin, the first words


def process(*arguments, **options):
    """The command as a process of its own, without the terminal's settings."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run([sys.executable, "-c", SCRIPT, *arguments], text=True, **options)


def test_a_question_is_read_from_stdin(write):
    path = write(CALCULATOR)
    for verb in (("ask", "-", "-q"), ("draw", "--question", "-")):
        done = CliRunner().invoke(
            app, [*verb, "-c", path], input="What is 6 * 8?\n", catch_exceptions=False
        )
        assert done.exit_code == 0, done.stderr
        assert done.stdout == ("48\n" if verb[0] == "ask" else done.stdout)
        for empty in ("", " \n"):
            done = CliRunner().invoke(app, [*verb, "-c", path], input=empty, catch_exceptions=False)
            assert (done.exit_code, done.stdout) == (2, "")
            assert "the question is empty" in done.stderr


@pytest.mark.parametrize("arguments", [("ask", "-"), ("draw", "-")])
def test_stdin_that_is_no_text_or_closed_is_wrong_usage(arguments):
    done = CliRunner().invoke(app, list(arguments), input=b"\xff\xfe\xff", catch_exceptions=False)
    assert done.exit_code == 2
    assert "stdin cannot be read as text" in done.stderr
    closed = f"import sys; sys.stdin = None; {SCRIPT}"
    done = subprocess.run([sys.executable, "-c", closed, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert "stdin is closed" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="pipes of a shell")
@pytest.mark.parametrize("more", [(), ("--report",), ("--json",)])
def test_a_reader_that_goes_is_no_traceback_and_the_page_is_written(write, tmp_path, more):
    page = tmp_path / "run.html"
    read, written = os.pipe()
    os.close(read)
    done = process(
        "ask", "What is 6 * 7?", "-c", write(CALCULATOR), "--html", str(page), *more, stdout=written
    )
    os.close(written)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    assert done.returncode == 1
    assert "42" in page.read_text()


def test_the_version_is_told():
    from langgraph_conductor import __version__

    done = command("--version")
    assert (done.exit_code, done.stdout) == (0, f"langgraph-conductor {__version__}\n")


FIRST = """
import sys, typer
echo, heard = typer.echo, []
def tell(text="", *given, **options):
    if not heard:
        heard.append(text)
        slow = {"langgraph", "langchain_core", "langsmith", "openai", "httpx", "asyncio", "rich", "numpy"}
        print(sorted(slow & {name.partition(".")[0] for name in sys.modules}), text.strip(), flush=True)
    echo(text, *given, **options)
typer.echo = tell
"""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("ask", "What is 6 * 7?", "-c", "{}"), "reading {} ..."),
        (("resume", "t", "--saver", "sqlite:none.db", "-c", "{}"), "reading {} ..."),
        (("--version",), "langgraph-conductor 0.1.0"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_the_first_words_come_before_what_is_slow_is_imported(write, arguments, words):
    """A person at a terminal hears something at once, while LangGraph alone takes seconds to import."""
    path = write(CALCULATOR)
    given = [argument.replace("{}", path) for argument in arguments]
    done = subprocess.run(
        [sys.executable, "-c", f"{FIRST}{SCRIPT}", *given], capture_output=True, text=True
    )
    assert done.stdout.splitlines()[0] == f"[] {words.replace('{}', path)}"


@pytest.mark.parametrize("verb", [("check",), ("ask", "1 + 1")])
def test_a_calculator_without_its_package_is_found_before_it_is_asked(write, monkeypatch, verb):
    monkeypatch.setitem(sys.modules, "simpleeval", None)
    done = command(*verb, "-c", write(CALCULATOR))
    assert done.exit_code == 4
    assert "pip install 'langgraph-conductor[local]'" in done.stderr


def test_check_also_checks_where_runs_are_saved(write, tmp_path):
    path = write(CALCULATOR)
    place = tmp_path / "runs.db"
    assert command("check", "-c", path, "--saver", f"sqlite:{place}").exit_code == 0
    assert not place.exists()
    place.write_text("no database, but something else\n" * 100)
    for wrong in (place, tmp_path, tmp_path / "none" / "runs.db"):
        done = command("check", "-c", path, "--saver", f"sqlite:{wrong}")
        assert done.exit_code in (1, 2), wrong
        assert done.stdout == ""
        assert "Traceback" not in done.stderr


def test_a_file_that_is_not_there_is_said_in_words():
    assert one_line(command("draw", "nothing.json"), 1) == "error: there is no file 'nothing.json'"


@pytest.mark.parametrize(("code", "loaded", "ended"), [(130, True, [130]), (130, False, []), (0, True, [])])
def test_an_interrupted_command_does_not_wait_for_the_embedded_server(code, loaded, ended, monkeypatch):
    from langgraph_conductor import cli

    left = []
    monkeypatch.setattr(cli.os, "_exit", left.append)
    monkeypatch.setattr("langgraph_conductor.cli.app.app", lambda: sys.exit(code))
    monkeypatch.setitem(sys.modules, "xllamacpp", object())
    if not loaded:
        monkeypatch.delitem(sys.modules, "xllamacpp")
    with pytest.raises(SystemExit):
        cli.main()
    assert left == ended

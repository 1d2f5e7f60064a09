"""`langgraph-conductor eval` and `profile`, with real clients on loopback providers."""

import json
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from langgraph_conductor.cli.app import app
from langgraph_conductor.planners.profiles import Profiles
from langgraph_conductor.testing import FakeProviders, faults

CONFIG = """
[planner]
model = "openai:gpt-5-mini"
options = { max_tokens = 300 }
structured = false
[[workers]]
name = "good"
model = "openai:gpt-5"
options = { max_tokens = 50 }
retries = 0
[[workers]]
name = "poor"
model = "openai:gpt-4.1"
options = { max_tokens = 50 }
retries = 0
"""
PLAN = 'model_id = [0]\nsubtasks = ["Answer it."]\naccess_list = [[]]'


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a configuration and a suite of 6 questions to train on and 4 to report."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conductor.toml").write_text(CONFIG)
    lines = [
        {
            "question": f"What is {n} plus {n}?",
            "answer": str(2 * n),
            "grader": "number",
            "domain": "even" if n % 2 == 0 else "odd",
            "split": "train" if n < 6 else "test",
        }
        for n in range(10)
    ]
    (tmp_path / "sums.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return tmp_path


@pytest.fixture
def providers(monkeypatch):
    """Providers where `gpt-5` is right, `gpt-4.1` wrong, and `gpt-5-mini` plans."""

    def reply(request):
        if request.model == "gpt-5-mini":
            return PLAN
        n = int(re.search(r"What is (\d+) plus", json.dumps(request.body))[1])
        return str(2 * n if request.model == "gpt-5" else 2 * n + 1)

    with FakeProviders(reply) as providers:
        for name, value in providers.environment().items():
            monkeypatch.setenv(name, value)
        yield providers


def command(*arguments):
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


EVAL = (
    "eval",
    "sums.jsonl",
    "-c",
    "conductor.toml",
    "--out",
    "out",
    "--no-workflow-oracle",
    "--no-second-rounds",
)


def test_eval_writes_a_report_and_repeated_asks_nobody(here, providers):
    done = command(*EVAL)
    assert done.exit_code == 0, done.stderr
    assert {path.name for path in (here / "out").iterdir()} >= {
        "report.md", "report.html", "evaluation.json", "replies.sqlite",
    }  # fmt: skip
    report = (here / "out" / "report.md").read_text()
    assert "single(good)" in report
    assert "described + profiles" in report
    assert "test: single(good): 4 of 4, 4 right" in done.stderr
    assert "test: single(poor): 4 of 4, 0 right" in done.stderr
    assert "train: chain(good, poor): 6 of 6" in done.stderr
    assert "Traceback" not in done.stderr
    asked = len(providers.requests)
    paid = re.search(r"^paid \$([0-9.]+) for (\d+) calls, (\d+) calls were read", done.stderr, re.MULTILINE)
    assert float(paid[1]) > 0
    assert int(paid[2]) == asked
    again = command(*EVAL)
    assert again.exit_code == 0
    assert len(providers.requests) == asked
    assert re.search(r"^paid \$0 for 0 calls", again.stderr, re.MULTILINE)
    assert (here / "out" / "report.md").read_text() == report


def test_a_limit_ends_it_with_exit_code_7_and_a_report_that_says_so_and_more_money_goes_on(here, providers):
    done = command(*EVAL, "--limit-usd", "0.004", "--concurrency", "1")
    assert done.exit_code == 7
    assert "stopped: the budget of $0.004 ends here" in done.stderr
    assert json.loads((here / "out" / "evaluation.json").read_text())["complete"] is False
    asked = len(providers.requests)
    assert asked > 0
    finished = command(*EVAL)
    assert finished.exit_code == 0
    assert json.loads((here / "out" / "evaluation.json").read_text())["complete"] is True
    whole = len(providers.requests)
    (here / "out" / "replies.sqlite").unlink()
    command(*EVAL)
    assert len(providers.requests) - whole == whole  # so nothing was asked twice


def test_an_outage_is_told_and_the_same_command_asks_again(here, providers):
    providers.script("gpt-4.1", *[faults.server_error()] * 3, "0")
    done = command(*EVAL, "--concurrency", "1")
    assert done.exit_code == 0
    assert "3 failed by the infrastructure" in done.stderr
    asked = len(providers.requests)
    again = command(*EVAL, "--concurrency", "1")
    assert "failed by the infrastructure" not in again.stderr
    assert len(providers.requests) > asked


def test_profile_measures_and_the_planner_is_shown_it(here, providers):
    done = command("profile", "sums.jsonl", "-c", "conductor.toml", "--split", "train", "--out", "p.json")
    assert done.exit_code == 0, done.stderr
    assert re.search(r"^good: 100.0% right \[.*\], n = 6$", done.stdout, re.MULTILINE)
    measured = Profiles.load(here / "p.json")
    assert measured.workers["poor"].overall.accuracy == 0
    assert set(measured.workers["good"].domains) == {"even", "odd"}
    assert len(providers.requests) == 12
    (here / "conductor.toml").write_text(CONFIG.replace("structured", 'profiles = "p.json"\nstructured'))
    command("ask", "What is 3 plus 3?", "-c", "conductor.toml", "-q")
    planning = [json.dumps(r.body) for r in providers.requests if r.model == "gpt-5-mini"]
    assert "right 100%" in planning[-1]


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("eval", "nothing", "-c", "conductor.toml"), 3, "no suite 'nothing'"),
        (("eval", "missing.jsonl", "-c", "conductor.toml"), 3, "missing.jsonl"),
        (("eval", "sums.jsonl", "-c", "missing.toml"), 3, "missing.toml"),
        (("eval", "sums.jsonl", "-c", "conductor.toml", "--split", "train"), 2, "train"),
        (("eval", "sums.jsonl", "-c", "conductor.toml", "--items", "0"), 2, "items"),
        (("eval", "sums.jsonl", "-c", "conductor.toml", "--split", "validation"), 1, "no validation tasks"),
        (("eval", "sums.jsonl", "-c", "conductor.toml", "--limit-usd", "much"), 1, "usd"),
        (("eval", "sums.jsonl", "-c", "conductor.toml", "--out", "sums.jsonl"), 2, "is a file"),
        (("eval", "sums.jsonl", "-c", "conductor.toml", "--store", "."), 2, "is a directory"),
        (("profile", "sums.jsonl", "-c", "conductor.toml", "--out", "."), 2, "is a directory"),
        (("profile", "sums.jsonl", "-c", "conductor.toml", "--split", "test"), 2, "test"),
        (("eval", "sums.jsonl", "-c", "conductor.toml", "--profiles", "no.json"), 3, "no.json"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_paid(here, providers, arguments, code, why):
    done = command(*arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert why in done.stderr
    assert "Traceback" not in done.stderr
    assert not providers.requests


def test_a_model_without_a_price_is_refused_under_a_limit_before_anything_is_paid(here, providers):
    unknown = CONFIG.replace("openai:gpt-4.1", "openai:nobody-knows-it")
    (here / "conductor.toml").write_text(unknown)
    done = command(*EVAL, "--limit-usd", "1")
    assert done.exit_code == 1
    assert "no known price" in done.stderr
    assert not providers.requests


def test_without_the_extra_it_is_named():
    script = """
import sys
sys.modules["matplotlib"] = None
from langgraph_conductor.cli import main
sys.argv = ["langgraph-conductor", "eval", "starter", "--items", "1", "--train-items", "1"]
main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 4
    assert "langgraph-conductor[eval]" in done.stderr


def configured(here, old, new):
    (here / "conductor.toml").write_text(CONFIG.replace(old, new))


def test_a_worker_with_the_name_of_the_one_that_counts_is_refused_before_anything_is_paid(here, providers):
    configured(here, '"poor"', '"majority_vote"')
    done = command(*EVAL)
    assert done.exit_code == 1
    assert "a worker cannot be called 'majority_vote'" in done.stderr
    assert not providers.requests


def test_the_fallback_of_the_configuration_answers_where_no_plan_can_be_read(here, providers):
    providers.script("gpt-5-mini", "I would rather not.")
    configured(here, "[planner]", '[conductor]\nfallback = "poor"\n[planner]')
    done = command(*EVAL)
    assert done.exit_code == 0, done.stderr
    assert "test: described: 4 of 4, 0 right" in done.stderr
    assert (
        "not planned by the planner itself in every round: anonymous 4 of 4 / described 4 of 4"
        in done.stdout
    )
    configured(here, "[planner]", '[conductor]\nfallback = "nobody"\n[planner]')
    wrong = command(*EVAL)
    assert wrong.exit_code == 3
    assert "fallback 'nobody' must be a worker" in wrong.stderr


def test_options_of_a_conductor_that_are_not_used_are_told(here, providers):
    both = '[conductor]\nmax_rounds = 3\non_step_error = "raise"\n[planner]'
    configured(here, "[planner]", both)
    done = command(*EVAL, "--items", "1", "--train-items", "1")
    assert done.exit_code == 0
    assert "`max_rounds` is not used" in done.stderr
    assert "`on_step_error` is not used" in done.stderr


@pytest.mark.parametrize(
    "arguments", [EVAL, ("profile", "sums.jsonl", "-c", "conductor.toml", "--split", "train")]
)
def test_if_no_worker_can_be_reached_it_ends_there_and_says_why(here, providers, arguments):
    for model in ("gpt-5", "gpt-4.1"):
        providers.script(model, faults.bad_key())
    done = command(*arguments)
    assert done.exit_code == 4
    assert "6 failed by the infrastructure (worker poor: OpenAIAuthenticationError" in done.stderr
    assert "the infrastructure failed every worker" in done.stderr
    assert "fake-openai-key" not in done.stderr
    assert len(providers.requests) == 12  # each alone on the training split, and nothing after
    assert not (here / "profiles.json").exists()


def test_a_worker_that_never_answers_is_told_with_the_reason(here, providers):
    providers.script("gpt-4.1", faults.refusal())
    done = command("profile", "sums.jsonl", "-c", "conductor.toml", "--split", "train")
    assert done.exit_code == 0
    assert "single(poor): 6 of 6, 0 right, 6 without an answer (no worker gave an answer" in done.stderr
    assert "I cannot help with that" in done.stderr


def test_the_stores_folder_is_made(here, providers):
    store = ("--store", "kept/replies.sqlite")
    done = command("profile", "sums.jsonl", "-c", "conductor.toml", "--split", "train", *store)
    assert done.exit_code == 0
    assert (here / "kept" / "replies.sqlite").exists()

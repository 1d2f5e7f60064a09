"""What an evaluation says before it pays, and while it runs."""

import json
import threading
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import pytest
import typer
from typer.testing import CliRunner

from langgraph_conductor import ChatPlanner, Worker, WorkerPool
from langgraph_conductor.cli import evaluation_progress
from langgraph_conductor.cli.app import app
from langgraph_conductor.cli.evaluation_progress import Watch, duration, in_words, paid_in_words
from langgraph_conductor.evals.evaluating import evaluate, measure
from langgraph_conductor.evals.forecast import Forecast
from langgraph_conductor.evals.running import Progress, Runner
from langgraph_conductor.evals.suites import Suite
from langgraph_conductor.replay import ReplyStore
from langgraph_conductor.rewards import Task
from langgraph_conductor.testing import FakeProviders, ScriptedModel, plan_text
from langgraph_conductor.usage import Usage

PRICE = {"input": 1, "output": 10}
CONFIG = """
[planner]
model = "openai:gpt-5-mini"
options = { max_tokens = 300 }
structured = false
[[workers]]
name = "a"
model = "MODEL"
options = { max_tokens = 5000 }
retries = 0
"""


class StopError(Exception):
    pass


def suite_of(train, test):
    drawn = {
        split: tuple(Task(f"{split} {i}?", "yes", "exact") for i in range(count))
        for split, count in (("train", train), ("validation", test), ("test", test))
    }
    return Suite("made", drawn)


def pool_of(*names, **options):
    return WorkerPool(Worker(n, ScriptedModel(replies=["yes"]), retries=0, **options) for n in names)


def planner_of(**options):
    return ChatPlanner(ScriptedModel(replies=[plan_text(("a", "Do it.", []))]), structured=False, **options)


async def told(pool, planner, *, stop=False, extra=None, **options):
    """Forecasts, the runner and the evaluation."""
    found, outcome = [], None

    def hear(one):
        found.append(one)
        if stop:
            raise StopError

    with ReplyStore(":memory:") as store:
        runner = Runner(store, on_forecast=hear)
        with suppress(StopError):
            outcome = await evaluate(suite_of(4, 2), pool, planner, runner, **options)
    return found, runner, outcome


async def test_items_bound_the_training_split_too():
    _, _, found = await told(pool_of("a"), None, items=1, second_rounds=False, workflow_oracle=False)
    assert found.about["tasks"] == {"test": 1, "train": 1}
    _, _, found = await told(
        pool_of("a"), None, items=1, train_items=3, second_rounds=False, workflow_oracle=False
    )
    assert found.about["tasks"] == {"test": 1, "train": 3}


@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize("planned", [False, True])
async def test_no_more_is_asked_than_the_forecast_allows_and_it_is_told_first(more, planned):
    planner = planner_of(price=PRICE) if planned else None
    options = {"second_rounds": more, "workflow_oracle": more, "max_steps": 3}
    found, runner, outcome = await told(pool_of("a", "b", price=PRICE), planner, **options)
    asked = runner.expenses.paid.calls
    assert asked <= found[0].most_calls
    assert asked / 3 < found[0].calls < 3 * asked
    assert found[0].usd > 0
    assert found[0].unpriced_calls == 0
    assert found[0].what == "4 train questions and 2 test questions"
    assert outcome.complete


async def test_what_the_forecast_raises_ends_it_before_anything_is_asked():
    (found,), runner, outcome = await told(pool_of("a"), planner_of(), stop=True)
    assert outcome is None
    assert found.calls > 0
    assert found.unpriced_calls == found.calls
    assert runner.expenses.paid.calls == 0


async def test_votes_that_are_more_than_was_forecast_are_told_before_they_are_asked():
    dear = planner_of(price={"input": 1000, "output": 1000})
    options = {"second_rounds": False, "workflow_oracle": False}
    found, _, outcome = await told(pool_of("a", price=PRICE), dear, **options)
    assert len(found) == 2
    votes = [one for one in outcome.outcomes if one.strategy.startswith("majority(")]
    asked = sum(len(e.rounds[0]["steps"]) - 1 for one in votes for m in one.episodes.values() for e in m)
    assert found[1].calls == asked > 0
    cheap, _, _ = await told(
        pool_of("a", price={"input": 1000, "output": 1000}), planner_of(price=PRICE), **options
    )
    assert len(cheap) == 1


async def test_functions_are_no_paid_calls_and_profiles_are_forecast():
    heard = []
    with ReplyStore(":memory:") as store:
        pool = WorkerPool([Worker("f", lambda task: "yes"), Worker("m", ScriptedModel(), price=PRICE)])
        await measure(suite_of(2, 4), pool, Runner(store, on_forecast=heard.append))
    (found,) = heard
    assert (found.episodes, found.what) == (8, "4 validation questions")
    assert found.usd > 0
    assert found.seconds > 0


# ------------------------------------------------------------------- at the command line


@pytest.fixture
def providers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = {"answer": "2", "grader": "number"}
    lines = [
        json.dumps({"question": f"What is 1 plus {n}?", "split": split, **asked})
        for n, split in enumerate(["train", "train", "test", "validation"])
    ]
    (tmp_path / "sums.jsonl").write_text("\n".join(lines))
    with FakeProviders(lambda request: "2") as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running


def command(model, *arguments, stdin=None):
    with open("c.toml", "w") as file:
        file.write(CONFIG.replace("MODEL", model))
    return CliRunner().invoke(app, [*arguments, "-c", "c.toml"], input=stdin, catch_exceptions=False)


@pytest.mark.parametrize("verb", ["eval", "profile"])
def test_what_costs_an_unknown_amount_is_not_begun_where_nobody_can_be_asked(providers, verb):
    done = command("openai:nobody-knows-it", verb, "sums.jsonl")
    assert done.exit_code == 2
    assert done.stderr.startswith("forecast: ")
    assert "at an unknown price" in done.stderr
    assert "--yes" in done.stderr
    assert providers.requests == ()


def test_it_is_asked_at_a_terminal(providers, monkeypatch):
    monkeypatch.setattr(evaluation_progress, "at_terminal", lambda: True)
    done = command("openai:nobody-knows-it", "profile", "sums.jsonl", stdin="n\n")
    assert done.exit_code == 1
    assert "go on" in done.stderr
    assert providers.requests == ()
    done = command("openai:nobody-knows-it", "profile", "sums.jsonl", stdin="y\n")
    assert done.exit_code == 0
    assert len(providers.requests) == 1


@pytest.mark.parametrize(
    ("model", "option"),
    [
        ("openai:nobody-knows-it", "--yes"),
        ("openai:gpt-5", "--limit-usd=1"),
        ("openai:gpt-5", "--samples=1"),  # it costs less than anybody is asked for
    ],
)
def test_it_is_begun_if_that_was_agreed_or_costs_next_to_nothing(providers, model, option):
    done = command(model, "profile", "sums.jsonl", option)
    assert done.exit_code == 0, done.stderr
    assert done.stderr.startswith("forecast: 1 validation question, ")
    assert len(providers.requests) == 1


def test_what_costs_much_is_asked_even_if_every_price_is_known(providers):
    done = command("openai:gpt-5", "profile", "sums.jsonl", "--samples", "1000")
    assert done.exit_code == 2
    assert providers.requests == ()


def test_a_forecast_alone_asks_nobody(providers):
    done = command("openai:gpt-5", "eval", "sums.jsonl", "--forecast", "--items", "1")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("forecast: 1 train question and 1 test question, ")
    assert providers.requests == ()


FORECAST = Forecast("4 questions", 2, 8, 10, 30, Decimal("1.5"), 0, 400.0)


def test_a_forecast_in_words():
    assert in_words(FORECAST) == (
        "4 questions, 2 runs of strategies: about 10 calls of workers and planners (at most 30), about $1.50, "
        "about 7 min; with 500 tokens a reply; replies that are kept in the store are not asked again"
    )
    assert "no known cost" in in_words(replace(FORECAST, usd=Decimal()))
    assert "about $0.00 and 1 call at an unknown price" in in_words(
        replace(FORECAST, usd=Decimal(), unpriced_calls=1)
    )
    assert [duration(s) for s in (3, 119, 121, 7_300, 200_000)] == [
        "3 s",
        "119 s",
        "2 min",
        "2 h",
        "2 days",
    ]


def test_what_was_paid_in_words():
    assert paid_in_words(Usage()) == "$0 for 0 calls"
    assert paid_in_words(Usage(calls=1, usd=Decimal("0.5"))) == "$0.5000 for 1 call"
    assert paid_in_words(Usage(calls=5, unpriced_calls=5)) == "for 5 calls at an unknown price"
    mixed = Usage(calls=3, usd=Decimal(1), unpriced_calls=1)
    assert paid_in_words(mixed) == "$1.0000 for 3 calls, 1 of them at an unknown price"


def progress(strategy, done, total):
    return Progress("train", strategy, done, total, done, 0, 0, "", Usage(), Usage())


def test_a_piped_evaluation_gives_signs_of_life(capsys):
    """A line comes though no strategy is over, also before the first answer."""
    said = threading.Event()

    class Heard(Watch):
        def _print(self, line):
            super()._print(line)
            said.set()

    with Heard(agreed=True, every=0.01) as watch:
        watch.forecast(FORECAST)
        assert said.wait(30)
        watch.progress(progress("slow", 1, 4))
        said.clear()
        assert said.wait(30)
        said.clear()
        assert said.wait(30)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("forecast: 4 questions")
    assert lines[1].startswith("nothing has been answered yet; 0 of about 8 in all after ")
    assert lines[-1].startswith(
        "train: slow: 1 of 4, 1 right; paid $0 for 0 calls; 1 of about 8 in all after "
    )
    assert lines[-1].endswith(" left")
    assert threading.active_count() == 1 or not any(t.name == "heartbeat" for t in threading.enumerate())


def test_a_strategy_that_is_over_is_a_line_and_no_sign_of_life_comes_between(capsys):
    with Watch(agreed=True, every=1000) as watch:
        watch.forecast(FORECAST)
        for done in range(1, 5):
            watch.progress(progress("quick", done, 4))
        watch.forecast(replace(FORECAST, what="majority votes"))
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["forecast", "train", "more than was forecast"]


def test_no_thread_is_left_if_it_is_not_begun():
    with pytest.raises(typer.BadParameter), Watch() as watch:
        watch.forecast(FORECAST)
    assert not any(t.name == "heartbeat" for t in threading.enumerate())

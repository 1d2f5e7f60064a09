"""Measured profiles: how they are computed, kept, and shown to planners."""

import json
import re
from decimal import Decimal

import pytest

from langgraph_conductor import ChatPlanner, ConfigError, Usage, Worker, WorkerPool
from langgraph_conductor.config import read_conductor
from langgraph_conductor.episodes import Episode
from langgraph_conductor.evals.profiles import profiles_of
from langgraph_conductor.evals.results import Outcome
from langgraph_conductor.intervals import wilson
from langgraph_conductor.planners import Measured, Profiles, WorkerProfile
from langgraph_conductor.planners.showing import MAX_DOMAINS, telling_domains, worker_lines
from langgraph_conductor.rewards import Task
from langgraph_conductor.testing import ScriptedModel, plan_text
from tests.helpers import request

POOL = WorkerPool(
    [
        Worker("coder", lambda t: "", description="Writes code.", price={"input": "1", "output": "2"}),
        Worker("thinker", lambda t: "", description="Reasons."),
        Worker("tool", lambda t: "", may_be_last=False),
    ]
)


def measured(n, accuracy, usd="0.0012", readable=1.0):
    return Measured(n, accuracy, 120.0, 3.14159, 9.0, readable, None if usd is None else Decimal(usd))


PROFILES = Profiles(
    {
        "coder": WorkerProfile(
            measured(400, 0.62), {"code": measured(200, 0.9), "prose": measured(200, 0.34)}
        ),
        "thinker": WorkerProfile(
            measured(20, 0.5, None, 0.9), {"code": measured(10, 0.2), "prose": measured(10, 0.8)}
        ),
        "gone": WorkerProfile(measured(9, 0.0)),
    },
    "skills",
    "train",
    "2026-11-21",
)


# ----------------------------------------------------------------- computing


TASKS = [Task(f"{domain} {i}?", "1", "exact", domain) for domain in ("code", "prose") for i in range(3)]


def episode(task, score, usd="0.001", seconds=1.0, answer="<answer>1</answer>", seed=0):
    used = Usage(1, 10, 5, usd=None if usd is None else Decimal(usd), unpriced_calls=int(usd is None))
    return Episode(task.id, answer, score, True, "fixed", workers=used, wall_seconds=seconds, seed=seed)


def single(worker, *episodes, kind="single"):
    by_task = {}
    for one in episodes:
        by_task.setdefault(one.task, []).append(one)
    return Outcome(f"single({worker})", kind, {task: tuple(many) for task, many in by_task.items()})


def test_profiles_are_computed_from_single_strategies():
    a = single(
        "a",
        episode(TASKS[0], 1.0, "0.001", 1.0),
        episode(TASKS[1], 0.0, "0.002", 2.0, answer="I give up.\nSorry."),
        episode(TASKS[2], None, "5", 500.0),
        episode(TASKS[3], 1.0, "0.003", 9.0),
    )
    made = profiles_of([a, single("b", kind="fixed")], TASKS, suite="s", split="train", date="2026-01-02")
    assert (made.suite, made.split, made.date) == ("s", "train", "2026-01-02")
    assert set(made.workers) == {"a"}
    overall = made.workers["a"].overall
    assert (overall.n, overall.accuracy) == (3, pytest.approx(2 / 3))
    assert overall.interval == pytest.approx(wilson(2, 3))
    assert (overall.usd, overall.tokens) == (Decimal("0.002"), 15)
    assert (overall.seconds, overall.p95_seconds) == (4.0, 9.0)
    assert overall.readable == pytest.approx(2 / 3)
    assert {name: (m.n, m.accuracy) for name, m in made.workers["a"].domains.items()} == {
        "code": (2, 0.5),
        "prose": (1, 1.0),
    }


def test_samples_of_one_task_are_one_task():
    many = [episode(TASKS[0], float(i < 8), seed=i) for i in range(10)]
    overall = profiles_of([single("a", *many, episode(TASKS[1], 0.0))], TASKS).workers["a"].overall
    assert (overall.n, overall.accuracy) == (2, pytest.approx(0.4))


def test_p95_is_what_95_of_100_do_not_exceed():
    many = [episode(TASKS[0], 1.0, seconds=float(i), seed=i) for i in range(1, 101)]
    assert profiles_of([single("a", *many)], TASKS).workers["a"].overall.p95_seconds == 95.0


def test_an_unknown_price_is_no_price_of_zero():
    a = single("a", episode(TASKS[0], 1.0, None), episode(TASKS[1], 1.0, "0.1"))
    free = Outcome("single(f)", "single", {TASKS[0].id: (Episode(TASKS[0].id, "1", 1.0, True, "fixed"),)})
    made = profiles_of([a, free], TASKS)
    assert made.workers["a"].overall.usd is None
    assert made.workers["f"].overall.usd == 0  # it calls no model


def test_workers_of_which_nothing_is_known_have_no_profile():
    down = single("a", episode(TASKS[0], None))
    strange = single("b", episode(Task("Another?", "1", "exact"), 1.0))
    assert profiles_of([down, strange], TASKS).workers == {}
    with pytest.raises(ValueError, match='named "single'):
        profiles_of([Outcome("a", "single", {TASKS[0].id: (episode(TASKS[0], 1.0),)})], TASKS)


def test_the_day_is_told_if_none_is_given():
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", profiles_of([], TASKS).date)


# ------------------------------------------------------------------ the file


def test_profiles_survive_their_file(tmp_path):
    path = tmp_path / "profiles.json"
    PROFILES.save(path)
    assert Profiles.load(path) == PROFILES
    written = json.loads(path.read_text())["workers"]["coder"]["domains"]["code"]
    assert written["usd"] == "0.0012"
    assert written["interval"] == [0.8506, 0.9343]


def broken(**changes):
    data = PROFILES.to_json()
    coder = data["workers"]["coder"]
    place = {"overall": coder["overall"], "code": coder["domains"]["code"]}
    for where, values in changes.items():
        place[where].update(values)
    return json.dumps(data)


MISTAKES = {
    "nothing": ("", "is not JSON"),
    "a list": ("[]", r'must be an object, such as \{"key": 1\}'),
    "no workers": ('{"suite": "s"}', "`workers`: is missing"),
    "unknown key": (
        '{"workers": {}, "splits": ""}',
        "`splits`: there is no such key; did you mean 'split'",
    ),
    "a worker": ('{"workers": {"a": 3}}', r"workers, a: must be an object"),
    "no overall": ('{"workers": {"a": {}}}', r"workers, a, `overall`: is missing"),
    "n": (
        broken(overall={"n": 0}),
        "workers, coder, overall, `n`: must be a whole number from 1 up, not 0",
    ),
    "n as text": (broken(code={"n": "7"}), "workers, coder, code, `n`: must be a whole number"),
    "accuracy": (broken(code={"accuracy": 90}), "code, `accuracy`: must be a number from 0 to 1, not 90"),
    "seconds": (broken(overall={"seconds": -1}), "`seconds`: must be a number from 0 up"),
    "endless": (broken(overall={"tokens": float("inf")}), "`tokens`: must be a number from 0 up"),
    "no number": (broken(overall={"tokens": float("nan")}), "`tokens`: must be a number from 0 up"),
    "money": (broken(overall={"usd": 0.5}), 'must be US dollars as text, such as "0.0012", or null'),
    "odd money": (broken(overall={"usd": "-1"}), "must be US dollars as text"),
    "a domain": ('{"workers": {"a": {"overall": {}, "domains": 4}}}', "`domains`: must be an object"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_of_the_file(tmp_path, mistake):
    text, told = MISTAKES[mistake]
    path = tmp_path / "profiles.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=told) as caught:
        Profiles.load(path)
    assert str(caught.value).startswith(str(path))


def test_a_missing_measure_and_a_missing_file(tmp_path):
    data = PROFILES.to_json()
    del data["workers"]["coder"]["overall"]["n"], data["workers"]["thinker"]["overall"]["interval"]
    path = tmp_path / "profiles.json"
    path.write_text(json.dumps(data))
    with pytest.raises(ConfigError, match="coder, overall, `n`: is missing"):
        Profiles.load(path)
    with pytest.raises(ConfigError, match="there is no such file"):
        Profiles.load(tmp_path / "none.json")
    with pytest.raises(ConfigError, match="cannot be read"):
        Profiles.load(tmp_path)
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is not JSON"):
        Profiles.load(path)


# ---------------------------------------------------------------- being shown


def test_described_workers_are_shown_with_what_was_measured():
    assert worker_lines(POOL, "described", PROFILES) == [
        "coder: Writes code. ($1 in, $2 out per million tokens); right 62% (n=400), code 90%, prose 34%, "
        "$0.0012 and 3.1 s an answer",
        "thinker: Reasons.; right 50% (30% to 70%) (n=20), code 20% (6% to 51%), prose 80% (49% to 94%), answer "
        "readable 90%, 3.1 s an answer",
        "tool (not for the last step); unmeasured",
        "Measured when each answered alone (skills, train, 2026-11-21): the share of right answers, overall and by "
        "kind of question; in brackets, where few were asked, the range it lies in with 95 % confidence.",
    ]


def test_anonymous_workers_stay_anonymous():
    lines = worker_lines(POOL, "anonymous", PROFILES)
    assert lines[0].startswith("Model 0; right 62% (n=400), code 90%")
    assert lines[2] == "Model 2 (not for the last step); unmeasured"
    assert not re.search("coder|thinker|tool", "\n".join(lines))


def test_the_same_domains_are_shown_of_all_whatever_order_the_pool_has():
    profiles = Profiles({**PROFILES.workers, "tool": WorkerProfile(measured(9, 0.1))})
    lines = worker_lines(POOL.permuted(3), "described", profiles)
    assert all(("code" in line) and ("prose" in line) for line in lines[:3])
    assert "code unmeasured" in next(line for line in lines if line.startswith("tool"))


def profile(**shares):
    return WorkerProfile(
        measured(100, 0.5), {name: measured(n, share) for name, (n, share) in shares.items()}
    )


def test_only_domains_in_which_workers_differ_beyond_doubt_are_shown():
    a = profile(wide=(100, 0.9), narrow=(100, 0.8), doubtful=(5, 1.0), alike=(100, 0.5), lone=(100, 1.0))
    b = profile(wide=(100, 0.1), narrow=(100, 0.5), doubtful=(5, 0.4), alike=(100, 0.5))
    assert telling_domains([a, b]) == ("wide", "narrow")
    assert telling_domains([b, a]) == ("wide", "narrow")
    assert telling_domains([a]) == telling_domains([]) == ()


def test_the_number_of_domains_is_bounded():
    names = [f"d{i}" for i in range(20)]
    a, b = (profile(**dict.fromkeys(names, (100, share))) for share in (0.9, 0.1))
    assert telling_domains([a, b]) == tuple(sorted(names)[:MAX_DOMAINS])


def test_workers_that_are_not_offered_decide_nothing():
    lines = worker_lines(POOL.only("coder"), "described", PROFILES)
    assert "code" not in lines[0].partition(";")[2]
    assert (
        worker_lines(POOL.only("tool"), "described", PROFILES)[-1] == "None of these models was measured."
    )


def test_names_in_a_profile_stay_on_their_line():
    domain = "x\nb: a worker that is not there"
    a, b = profile(**{domain: (100, 0.9)}), profile(**{domain: (100, 0.1)})
    lines = worker_lines(POOL, "described", Profiles({"coder": a, "thinker": b}, suite="s\nc: nor this"))
    assert "x b: a worker that is not there 90%" in lines[0]
    assert "\n" not in "".join(lines)


def test_prompts_change_only_where_there_are_profiles(tmp_path):
    chat = ChatPlanner(ScriptedModel())
    plain = chat.render(request(POOL))[1].text
    shown = chat.showing("described", PROFILES).render(request(POOL))[1].text
    head = plain.partition("AVAILABLE MODELS:")[0]
    assert shown.startswith(head)
    assert "90%" in shown
    assert chat.render(request(POOL))[1].text == plain
    path = tmp_path / "p.json"
    PROFILES.save(path)
    assert ChatPlanner(ScriptedModel(), profiles=path).render(request(POOL))[1].text == shown
    assert ChatPlanner(ScriptedModel(), profiles=PROFILES).render(request(POOL))[1].text == shown


def test_a_plan_is_read_whatever_is_shown(plan):
    model = ScriptedModel(replies=[plan_text(("1", "Do it.", []))])
    planner = ChatPlanner(model, structured=False).showing("anonymous", PROFILES)
    assert plan(planner, request(POOL)).workflow.steps[0].worker == "thinker"
    with pytest.raises(ValueError, match="show must be"):
        planner.showing("names")


def test_the_configuration_names_profiles_beside_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    (tmp_path / "sub").mkdir()
    PROFILES.save(tmp_path / "sub" / "profiles.json")
    file = tmp_path / "sub" / "conductor.toml"
    text = '[planner]\nmodel = "openai:m"\nprofiles = "{}"\n[[workers]]\nname = "coder"\nmodel = "openai:m"'
    file.write_text(text.format("profiles.json"))
    assert read_conductor(file).planner.profiles == PROFILES
    file.write_text(text.format("../sub/profiles.json"))
    assert read_conductor(file).planner.profiles == PROFILES
    file.write_text(text.format("other.json"))
    with pytest.raises(ConfigError, match=r"other\.json: there is no such file"):
        read_conductor(file)

"""The suite of skills: steady, in parts that share nothing, and with answers that cannot be guessed or copied."""

import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from datetime import date, datetime, timedelta
from importlib import resources
from itertools import pairwise

import pytest

from langgraph_conductor.errors import ConfigError
from langgraph_conductor.evals.suites import (
    FORM,
    SPLITS,
    Suite,
    gym,
    load_suite,
    manifest,
    skills,
    split_of,
)
from langgraph_conductor.evals.suites.composed import HELD_OUT, PAIRS, composed, second_answer
from langgraph_conductor.evals.suites.consumers import OF_NUMBERS, OF_WORDS
from langgraph_conductor.evals.suites.producers import NUMBERS, WORDLIKE, in_base, shifted
from langgraph_conductor.evals.suites.words import WORDS
from langgraph_conductor.rewards import Task, check_grader, final_answer, grade


@pytest.fixture(scope="module")
def suite():
    return load_suite("skills")


@pytest.fixture(scope="module")
def tasks(suite):
    return [task for split in SPLITS for task in suite.tasks(split)]


@pytest.fixture(scope="module")
def pairs(tasks):
    return [task for task in tasks if task.difficulty == 2]


# What it consists of


def test_size_and_parts(suite, tasks):
    assert 1500 <= len(tasks) <= 2000
    counts = Counter(task.domain for task in tasks)
    assert {name for name in counts if "+" not in name} == {*skills.SKILLS, "unsolvable"}
    assert {name for name in counts if "+" in name} == {"+".join(pair) for pair in PAIRS}
    assert len(skills.SKILLS) >= 12
    assert len(PAIRS) >= 20
    assert {counts[name] for name in skills.SKILLS} == {64}
    assert {counts["+".join(pair)] for pair in PAIRS} == {25}
    for split in SPLITS:
        assert {*skills.SKILLS, "unsolvable"} < {task.domain for task in suite.tasks(split)}


def test_tasks_say_what_they_are(tasks):
    for task in tasks:
        if task.domain == "unsolvable":
            assert (task.skills, task.difficulty) == ((), 1)
        else:
            assert task.domain == "+".join(task.skills)
            assert task.difficulty == len(task.skills)
            assert set(task.skills) <= set(skills.SKILLS)


def test_questions_end_with_the_form_and_ask_for_no_other(tasks):
    for task in tasks:
        body, _, last = task.question.rpartition("\n")
        assert last == FORM
        assert not re.search(r"<answer>|\\boxed|JSON|code block|###", body), body
        assert len(task.question) < 1000


def test_tasks_survive_json(tasks):
    for task in tasks:
        assert Task.from_json(json.loads(json.dumps(task.to_json()))).digest == task.digest


# Steady


def test_another_process_with_another_hash_seed_makes_the_same(suite):
    script = (
        "from langgraph_conductor.evals.suites.skills import skills_suite as s; from langgraph_conductor.evals.suites"
        " import SPLITS; s = s(); print(*[t.digest for p in SPLITS for t in s.tasks(p)])"
    )
    out = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True,
                         env={**os.environ, "PYTHONHASHSEED": "77"})  # fmt: skip
    assert out.stdout.split() == [task.digest for split in SPLITS for task in suite.tasks(split)]


def test_composed_questions_do_not_depend_on_what_was_made_before():
    pair = ("gsm_symbolic", "base_conversion")
    first = next(composed(pair))
    random.seed(5)
    next(composed(("bf", "caesar_cipher")))
    assert next(composed(pair)) == first


def test_manifest_is_in_the_package_and_holds_every_digest(suite):
    data = json.loads(
        resources.files("langgraph_conductor.evals.suites").joinpath("skills.json").read_text()
    )
    assert data["reasoning_gym"] == gym.VERSION
    assert data["splits"] == {split: [task.digest for task in suite.tasks(split)] for split in SPLITS}
    assert data["counts"] == {split: len(suite.tasks(split)) for split in SPLITS}
    assert data["skills"]["chain_sum"]["seed"] == 10_000_000
    assert {name for name, pair in data["pairs"].items() if pair["held_out"]} == set(data["held_out"])


def test_reasoning_gym_is_pinned_to_the_version_of_the_manifest():
    from importlib.metadata import requires

    wanted = [line for line in requires("langgraph-conductor") if line.startswith("reasoning-gym")]
    assert wanted[0].startswith(f"reasoning-gym=={gym.VERSION}")


def test_a_changed_question_is_refused(suite):
    first, *rest = suite.tasks("test")
    changed = Task(first.question, first.answer + "1", first.grader, first.domain, skills=first.skills)
    parts = {**suite.splits, "test": (changed, *rest)}
    with pytest.raises(ConfigError, match=r"skills\.json: test has (\d+) tasks, not \1, and 1 other"):
        manifest.verified(Suite("skills", parts, suite.about))
    gone = next(task for task in suite.tasks("train") if task.domain == "chain_sum")
    fewer = {split: tuple(task for task in some if task != gone) for split, some in suite.splits.items()}
    with pytest.raises(ConfigError, match=r"chain_sum.*'tasks': 63.*'tasks': 64"):
        manifest.verified(Suite("skills", fewer, suite.about))
    with pytest.raises(ConfigError, match="revision is 9, not 1"):
        manifest.verified(Suite("skills", suite.splits, {**suite.about, "revision": 9}))


def test_writing_the_manifest_gives_the_file_that_is_there(tmp_path, monkeypatch):
    there = resources.files("langgraph_conductor.evals.suites").joinpath("skills.json").read_text()
    monkeypatch.setattr(manifest, "__file__", str(tmp_path / "manifest.py"))
    manifest.main()
    assert (tmp_path / "skills.json").read_text() == there


def test_another_version_of_reasoning_gym_is_refused(monkeypatch):
    monkeypatch.setattr(gym, "version", lambda name: "0.2.0")
    with pytest.raises(
        ConfigError, match=r"made with reasoning-gym 0\.1\.25.*0\.2\.0.*langgraph-conductor\[eval\]"
    ):
        load_suite("skills")


def test_missing_reasoning_gym_says_what_to_install(monkeypatch):
    def missing(name):
        raise gym.PackageNotFoundError(name)

    monkeypatch.setattr(gym, "version", missing)
    with pytest.raises(ImportError, match=r"pip install 'langgraph-conductor\[eval\]'"):
        load_suite("skills")


# Splits


def test_the_first_of_a_split_are_a_mixture(suite):
    for split in SPLITS:
        assert len({task.domain for task in suite.tasks(split)[:50]}) >= 20


def test_splits_share_no_question_and_follow_the_hash(suite, tasks):
    assert len({task.question for task in tasks}) == len(tasks)
    for split in SPLITS:
        for task in suite.tasks(split):
            assert split == ("test" if task.skills in HELD_OUT else split_of(task))
    free = [split_of(task) for task in tasks if task.skills not in HELD_OUT]
    assert [round(free.count(split) / len(free), 1) for split in SPLITS] == [0.6, 0.2, 0.2]


def test_held_out_pairs_are_met_in_the_test_split_only(suite):
    assert 0.2 <= len(HELD_OUT) / len(PAIRS) <= 0.3
    assert set(PAIRS) >= HELD_OUT
    met = {split: {task.skills for task in suite.tasks(split)} for split in SPLITS}
    assert not HELD_OUT & (met["train"] | met["validation"])
    assert met["test"] >= HELD_OUT
    known = set(PAIRS) - HELD_OUT
    assert known <= met["train"]
    for place in (0, 1):  # each of their skills was met in the same place
        assert {pair[place] for pair in HELD_OUT} <= {pair[place] for pair in known}


def test_seeds_are_far_apart():
    seeds = sorted(skills.seeds().values())
    assert min(b - a for a, b in pairwise(seeds)) > 100_000


# Grading


def test_the_right_answer_scores_one_and_the_question_and_nothing_score_zero(tasks):
    for name in {task.grader for task in tasks}:
        check_grader(name)
    for task in tasks:
        assert grade(f"First this, then that.\n<answer>{task.answer}</answer>", task) == 1.0, task
        assert grade(task.question, task) == 0.0, task
        assert grade("", task) == 0.0


def test_the_form_itself_is_no_answer(tasks):
    reading = final_answer(FORM)
    assert all(grade(FORM, task) == 0.0 for task in tasks), reading


def test_an_intermediate_result_alone_scores_zero(pairs):
    for task in pairs:
        assert grade(f"<answer>{task.about['intermediate']}</answer>", task) == 0.0, task


def test_no_composed_answer_stands_in_its_question(pairs):
    for task in pairs:
        assert not re.search(rf"(?<!\w){re.escape(task.answer)}(?!\w)", task.question), task


def wrong_results(right: str) -> list[str]:
    """Mistakes of a worker: off by one, a digit or letter changed, twice as much, in the wrong order."""
    if right.isdigit():
        number = int(right)
        near = [number + 1, number - 1, number + 2, number + 10, 2 * number]
        return [str(x) for x in near if x >= 0] + [right[::-1].lstrip("0")] * (right != right[::-1])
    swapped = right[1] + right[0] + right[2:]
    return [
        text
        for text in (right[::-1], right[:-1], "q" + right[1:], swapped, shifted(right, 1))
        if text != right
    ]


def test_a_wrong_intermediate_result_leads_to_a_wrong_answer(pairs):
    by_pair: dict[str, list[bool]] = {}
    for task in pairs:
        for wrong in wrong_results(task.about["intermediate"]):
            try:
                answer = second_answer(task, wrong)
            except ValueError:
                continue
            by_pair.setdefault(task.domain, []).append(grade(f"<answer>{answer}</answer>", task) == 0.0)
    assert len(by_pair) == len(PAIRS)
    for name, led_astray in by_pair.items():
        assert sum(led_astray) >= 0.95 * len(led_astray), name


def test_the_right_intermediate_result_leads_to_the_right_answer(pairs):
    assert all(second_answer(task, task.about["intermediate"]) == task.answer for task in pairs)


def test_answers_cannot_be_guessed(tasks):
    for name in {task.domain for task in tasks}:
        some = Counter(task.answer for task in tasks if task.domain == name)
        assert some.most_common(1)[0][1] <= some.total() / 8, name
        assert len(some) >= 10, name


@pytest.mark.parametrize("name", [*NUMBERS, *WORDLIKE])
def test_intermediate_results_cannot_be_guessed(name):
    # Whoever reads the second part knows it: then guessing the answer is guessing X.
    results = Counter(
        ({**NUMBERS, **WORDLIKE}[name](random.Random(f"guess {i}"))).result for i in range(120)
    )
    assert len(results) >= 10
    assert results.most_common(1)[0][1] <= 0.15 * 120


# Unsolvable


def test_unsolvable_answers_stand_nowhere_in_the_task(tasks):
    some = [task for task in tasks if task.domain == "unsolvable"]
    assert len(some) == 60
    for task in some:
        assert re.fullmatch(r"\d{6}", task.answer)
        assert task.answer not in task.question
        assert not task.about
    assert len({task.answer for task in some}) == 60
    others = [grade(f"<answer>{task.answer}</answer>", some[i - 1]) for i, task in enumerate(some)]
    assert sum(others) == 0


# The parts, worked out another way


def test_first_parts_worked_out_from_their_words():
    for i in range(40):
        rng = random.Random(i)
        part = NUMBERS["chain_sum"](rng)
        assert eval(part.text.removeprefix("Compute ").rstrip(".")) == int(part.result)
        part = NUMBERS["simple_equations"](rng)
        left, right = part.text.removeprefix("Solve ").removesuffix(" for n.").split(" = ")
        assert eval(left, {"n": int(part.result)}) == int(right)
        part = NUMBERS["base_conversion"](rng)
        base, digits = re.search(r"base-(\d) number (\d+)", part.text).groups()
        assert int(digits, int(base)) == int(part.result)
        part = NUMBERS["letter_counting"](rng)
        letter, text = re.findall('"(.+?)"', part.text)
        assert sum(c == letter for c in text) == int(part.result)
        part = NUMBERS["calendar_arithmetic"](rng)
        days = [parsed(day) for day in re.findall(r"\d+ [A-Z][a-z]+ \d{4}", part.text)]
        assert (days[1] - days[0]).days == int(part.result)
        part = WORDLIKE["caesar_cipher"](rng)
        places, gave = re.search(r"moved (\d+) places.*gave ([A-Z]+)\.", part.text).groups()
        assert "".join(chr((ord(c) - 65 - int(places)) % 26 + 97) for c in gave) == part.result
        part = WORDLIKE["spell_backward"](rng)
        assert "".join(reversed(part.result)) == re.search('"(.+)"', part.text)[1]
        part = WORDLIKE["bf"](rng)
        assert printed(part.text.rpartition(": ")[2]) == part.result
        part = NUMBERS["gsm_symbolic"](rng)
        assert part.text.startswith("Solve this problem: ")
        assert "final answer" not in part.text
        assert 10 <= int(part.result) <= 2000


def parsed(day: str) -> date:
    return datetime.strptime(day, "%d %B %Y").date()


def printed(program: str) -> str:
    """What a BF program without input prints; written for this test."""
    tape, place, at, out = [0] * 50, 0, 0, ""
    while at < len(program):
        match program[at]:
            case ">" | "<":
                place += 1 if program[at] == ">" else -1
            case "+" | "-":
                tape[place] = (tape[place] + (1 if program[at] == "+" else -1)) % 256
            case ".":
                out += chr(tape[place])
            case "[" | "]":
                forth = program[at] == "["
                if (tape[place] == 0) == forth:
                    depth = 0
                    while True:
                        depth += {"[": 1, "]": -1}.get(program[at], 0)
                        if depth == 0:
                            break
                        at += 1 if forth else -1
        at += 1
    return out


def test_second_parts_by_hand():
    def solve(name, asked, x):
        return {**OF_NUMBERS, **OF_WORDS}[name].solve(asked, x)

    assert solve("chain_sum", {"terms": [20, -5, 11]}, "7") == "33"
    assert (
        solve("simple_equations", {"factor": 3, "left": 5, "times": 6, "right": 17}, "10") == "24"
    )  # 3k + 5 = 77
    assert solve("base_conversion", {"base": 7}, "100") == "202"
    assert solve("calendar_arithmetic", {"date": "2024-02-27"}, "3") == "2024-03-01"  # a leap year
    assert OF_NUMBERS["caesar_cipher"].solve({"phrase": "zebra cab"}, "27") == "afcsb dbc"
    assert solve("caesar_cipher", {"places": 3}, "xyz") == "abc"
    assert solve("spell_backward", {}, "lantern") == "nretnal"
    assert (
        solve("word_sorting", {"words": ["pear", "fig", "kiwi", "plum"]}, "mango")
        == "fig kiwi mango pear plum"
    )


def test_second_parts_worked_out_from_their_words(pairs):
    for task in pairs:
        then = task.question.split("Then: ")[1].removesuffix(f"\n{FORM}")
        x = task.about["intermediate"]
        if found := re.fullmatch(r"Compute (X.*)\.", then):
            assert eval(found[1], {"X": int(x)}) == int(task.answer)
        elif found := re.fullmatch(r"Solve (.*) = (.*) for k\.", then):
            assert eval(found[1], {"k": int(task.answer)}) == eval(found[2], {"X": int(x)})
        elif found := re.search(r"Convert X to base (\d)", then):
            assert int(task.answer, int(found[1])) == int(x)
        elif found := re.search(r"X days after (.*), and", then):
            assert parsed(found[1]) + timedelta(int(x)) == date.fromisoformat(task.answer)
        elif found := re.search('"(.*)" X places', then):
            assert shifted(task.answer, -int(x)) == found[1] != task.answer
        elif found := re.search(r"of X (\d+) places", then):
            assert shifted(task.answer, -int(found[1])) == x
        elif "backward" in then:
            assert task.answer[::-1] == x
        else:
            words = [
                word if word != "X" else x for word in re.search(": (.*)\\. Write", then)[1].split(", ")
            ]
            assert task.answer.split() == sorted(words)
            assert len(words) == 5


def test_second_parts_refuse_what_they_cannot_be_put_to(pairs, tasks):
    base = next(task for task in pairs if task.skills[1] == "base_conversion")
    for wrong in ("-3", "twelve", "", "1.5"):
        with pytest.raises(ValueError, match=r"below 0|invalid literal"):
            second_answer(base, wrong)
    day = next(task for task in pairs if task.skills[1] == "calendar_arithmetic")
    with pytest.raises(ValueError, match="no date"):
        second_answer(day, "99999999999")
    with pytest.raises(ValueError, match="not a composed one"):
        second_answer(next(task for task in tasks if task.difficulty == 1), "3")


def test_bases_and_shifts():
    for number in (0, 1, 8, 255, 1000):
        for base in range(2, 11):
            assert int(in_base(number, base), base) == number
    assert shifted("Hello, World", 13) == "Uryyb, Jbeyq"
    assert shifted(shifted("abc xyz", 5), -5) == "abc xyz"


def test_words_can_be_told_apart():
    assert len(set(WORDS)) == len(WORDS) >= 150
    assert all(re.fullmatch("[a-z]{5,8}", word) for word in WORDS)
    assert not {word[::-1] for word in WORDS} & set(WORDS)

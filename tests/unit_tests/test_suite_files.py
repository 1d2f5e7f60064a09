"""Suites from files: a user's own, GSM8K and MMLU; and what is said of a mistake."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from langgraph_conductor.errors import ConfigError
from langgraph_conductor.evals.suites import FORM, SPLITS, Suite, load_suite, split_of
from langgraph_conductor.rewards import Task, grade

DATA = Path(__file__).parents[3] / "shared" / "data"

TASKS = [
    Task(
        f"What is {n}+{n}?",
        str(2 * n),
        "number",
        domain="sums",
        difficulty=1 + n % 2,
        skills=("add",),
        about={"n": n},
    )
    for n in range(60)
]


def write(path, lines):
    path.write_text(
        "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8"
    )
    return path


def test_own_tasks_come_back_as_they_were(tmp_path):
    path = write(
        tmp_path / "mine.jsonl",
        [*(task.to_json() for task in TASKS[:30]), "", *(t.to_json() for t in TASKS[30:])],
    )
    suite = load_suite(path)
    assert suite.name == "mine"
    assert load_suite(str(path)) == suite
    assert sorted(
        (task.to_json() for split in SPLITS for task in suite.tasks(split)), key=lambda t: t["about"]["n"]
    ) == [task.to_json() for task in TASKS]
    for split in SPLITS:
        assert suite.tasks(split) == tuple(task for task in TASKS if split_of(task) == split) != ()


def test_own_splits_are_kept_in_order(tmp_path):
    named = [{**task.to_json(), "split": SPLITS[i % 3]} for i, task in enumerate(TASKS[:9])]
    suite = load_suite(write(tmp_path / "a.jsonl", named))
    assert [suite.tasks(split) for split in SPLITS] == [tuple(TASKS[i:9:3]) for i in range(3)]
    only = load_suite(write(tmp_path / "b.jsonl", [{**TASKS[0].to_json(), "split": "test"}]))
    assert (only.tasks("train"), only.tasks("test")) == ((), (TASKS[0],))


def test_about_tells_one_file_from_another(tmp_path):
    first = load_suite(write(tmp_path / "a.jsonl", [TASKS[0].to_json()]))
    second = load_suite(write(tmp_path / "a.jsonl", [TASKS[1].to_json()]))
    assert first.about["file"] == "a.jsonl"
    assert first.about["sha256"] != second.about["sha256"]


def test_a_hash_of_the_question_alone_makes_the_split():
    task = TASKS[7]
    other = Task(task.question, "else", "exact", domain="x", difficulty=9)
    assert split_of(task) == split_of(other)
    parts = [split_of(Task(f"Question {n}", "1", "exact")) for n in range(3000)]
    for split, share in zip(SPLITS, (0.6, 0.2, 0.2), strict=True):
        assert abs(parts.count(split) / 3000 - share) < 0.03


GOOD = {"question": "1+1?", "answer": "2", "grader": "number"}


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([GOOD, "{"], r"a\.jsonl, line 2: this is not JSON"),
        ([GOOD, "", "[1]"], r"line 3: a line is a JSON object"),
        ([{**GOOD, "anwser": "2"}], r"line 1: .*anwser.*question, answer, grader.*split"),
        ([{"question": "1+1?", "grader": "number"}], r"line 1: a task needs \['answer'\]"),
        ([{**GOOD, "question": " "}], r"line 1: a task needs a question"),
        ([{**GOOD, "answer": 2}], r"line 1: a task's answer is a text"),
        ([{**GOOD, "difficulty": 0}], r"line 1: a task's difficulty"),
        ([{**GOOD, "skills": 3}], r"line 1: "),
        ([{**GOOD, "split": "dev"}], r"line 1: there is no split 'dev'; there are train, validation, test"),
        ([{**GOOD, "split": ["test"]}], r"line 1: there is no split \['test'\]"),
        ([{**GOOD, "grader": "numbre"}], r"line 1: there is no grader 'numbre'.*'number'"),
        ([{**GOOD, "grader": "gym:n_queens"}], r"line 1: .*n_queens.*executes code"),
        ([GOOD, {**GOOD, "question": "2+2?"}, GOOD], r"line 3: the question is that of line 1"),
        ([{**GOOD, "split": "test"}, {**GOOD, "question": "2+2?"}], r"line 2: it has no `split`, and other lines"),
        ([GOOD, {**GOOD, "question": "2+2?", "split": "test"}], r"line 1: it has no `split`, and other lines"),
        (["", " "], r"a\.jsonl: there is no task in it"),
        ([GOOD, {**GOOD, "question": "2+2?", "answer": "four"}], r"line 2: .*one number, not 'four'"),
        ([{**GOOD, "about": {"tolerance": "little"}}], r"line 1: .*`about` does not fit grader 'number'"),
        ([{**GOOD, "grader": "choice", "answer": "Paris"}], r"line 1: .*an option's letter, not 'Paris'"),
    ],
)  # fmt: skip
def test_mistakes_in_own_files(tmp_path, lines, says):
    with pytest.raises(ConfigError, match=says):
        load_suite(write(tmp_path / "a.jsonl", lines))


def test_a_line_ends_where_json_says(tmp_path):
    odd = {**GOOD, "question": "one\u2028two\x85three"}
    (tmp_path / "a.jsonl").write_text(
        "\ufeff" + json.dumps(odd, ensure_ascii=False) + "\r\n", encoding="utf-8"
    )
    assert [t.question for split in SPLITS for t in load_suite(tmp_path / "a.jsonl").tasks(split)] == [
        odd["question"]
    ]


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.jsonl: it cannot be read"):
        load_suite(tmp_path / "none.jsonl")
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"bytes\.jsonl: it is not UTF-8 text"):
        load_suite(tmp_path / "bytes.jsonl")


@pytest.mark.parametrize("name", ["skill", "gsm8k", "gsm8k:", "mmlu:", "humaneval:x", "tasks.csv", ""])
def test_unknown_suites_are_refused(name):
    with pytest.raises(ConfigError, match=r"'skills', a \.jsonl file, 'gsm8k:FOLDER' and 'mmlu:FOLDER'"):
        load_suite(name)


def test_a_suite_refuses_what_is_no_suite():
    with pytest.raises(ValueError, match=r"no split 'dev'.*train, validation, test"):
        Suite("s", {"dev": ()})
    with pytest.raises(ValueError, match="occurs twice"):
        Suite("s", {"train": (TASKS[0],), "test": (TASKS[0],)})
    suite = Suite("s", {"test": (TASKS[0],)})
    assert suite.tasks("validation") == ()
    with pytest.raises(ValueError, match=r"no split 'tset'.*train, validation, test"):
        suite.tasks("tset")


# GSM8K


def gsm8k(folder):
    lines = [
        {
            "question": f"Ann has {n} boxes of 1000. How many things?",
            "answer": f"She has {n}*1000.\n#### {n},000",
        }
        for n in range(1, 41)
    ]
    write(folder / "train.jsonl", lines[:30])
    write(folder / "test.jsonl", [*lines[30:], lines[0]])
    return folder


def test_gsm8k(tmp_path):
    suite = load_suite(f"gsm8k:{gsm8k(tmp_path)}")
    train, validation, test = (suite.tasks(split) for split in SPLITS)
    assert len(test) == 11
    assert len(train) + len(validation) == 29  # the one that is tested as well is not learned from
    assert len(train) > len(validation) > 0
    assert suite.about["repeated"] == 1
    first = test[0]
    assert first.question == f"Ann has 31 boxes of 1000. How many things?\n{FORM}"
    assert (first.answer, first.grader, first.domain) == ("31000", "number", "gsm8k")
    assert grade("So it is <answer>31,000</answer>", first) == 1.0
    assert grade("<answer>31</answer>", first) == 0.0


def test_mistakes_in_gsm8k(tmp_path):
    with pytest.raises(ConfigError, match=r"test\.jsonl: it cannot be read"):
        load_suite(f"gsm8k:{tmp_path}")
    gsm8k(tmp_path)
    write(tmp_path / "train.jsonl", [{"question": "How many?", "answer": "many"}])
    with pytest.raises(ConfigError, match=r"train\.jsonl, line 1: .*'#### '"):
        load_suite(f"gsm8k:{tmp_path}")
    write(tmp_path / "train.jsonl", [{"question": "How many?", "answer": "Some.\n#### many"}])
    with pytest.raises(ConfigError, match=r"train\.jsonl, line 1: .*number"):
        load_suite(f"gsm8k:{tmp_path}")


# MMLU


def mmlu(folder):
    for part, count in (("dev", 20), ("test", 6)):
        (folder / part).mkdir()
        for subject in ("astronomy", "world_history"):
            rows = [
                f'"{subject}, {part} {n}:\nwhich?",one,"two, or 2",three,"fo""ur\x85",{"ABCD"[n % 4]}'
                for n in range(count)
            ]
            write(folder / part / f"{subject}_{part}.csv", rows)
    return folder


def test_mmlu(tmp_path):
    suite = load_suite(f"mmlu:{mmlu(tmp_path)}")
    train, validation, test = (suite.tasks(split) for split in SPLITS)
    assert len(test) == 12
    assert len(train) + len(validation) == 40
    assert len(train) > len(validation) > 0
    assert [task.domain for task in test] == ["astronomy"] * 6 + ["world_history"] * 6
    task = test[1]
    assert task.question == (
        'astronomy, test 1:\nwhich?\nA. one\nB. two, or 2\nC. three\nD. fo"ur\x85\nChoose one letter. '
        + FORM
    )
    assert (task.answer, task.grader) == ("B", "choice")
    assert task.about["choices"] == ["one", "two, or 2", "three", 'fo"ur\x85']
    assert grade("<answer>B</answer>", task) == grade("<answer>two, or 2</answer>", task) == 1.0
    assert grade("<answer>A</answer>", task) == grade("<answer>A or B</answer>", task) == 0.0


def test_mistakes_in_mmlu(tmp_path):
    with pytest.raises(ConfigError, match=r"test: there is no file <subject>_test\.csv"):
        load_suite(f"mmlu:{tmp_path}")
    mmlu(tmp_path)
    for row in ("what?,a,b,c,D", "what?,a,b,c,d,E", "what?,a,b,c,d,"):
        write(tmp_path / "test" / "astronomy_test.csv", ["fine?,a,b,c,d,A", row])
        with pytest.raises(
            ConfigError, match=r"astronomy_test\.csv, row 2: .*four choices and A, B, C or D"
        ):
            load_suite(f"mmlu:{tmp_path}")


@pytest.mark.parametrize("name", ["gsm8k", "mmlu"])
def test_the_authors_files_or_small_ones_of_their_form(tmp_path, name):
    folder = DATA / name if (DATA / name).exists() else {"gsm8k": gsm8k, "mmlu": mmlu}[name](tmp_path)
    suite = load_suite(f"{name}:{folder}")
    for split in SPLITS:
        for task in suite.tasks(split)[:300]:
            assert grade(f"<answer>{task.answer}</answer>", task) == 1.0, task
            assert grade(task.question, task) == 0.0
            assert task.question.endswith(FORM)


def test_suites_from_files_need_neither_reasoning_gym_nor_numpy(tmp_path):
    path = write(tmp_path / "a.jsonl", [GOOD])
    script = f"import sys; from langgraph_conductor.evals.suites import load_suite; load_suite({str(path)!r}); print(*sys.modules)"
    out = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    roots = {name.partition(".")[0] for name in out.stdout.split()}
    assert not roots & {
        "reasoning_gym",
        "numpy",
        "sympy",
        "math_verify",
        "inspect_ai",
        "matplotlib",
        "scipy",
    }


@pytest.mark.parametrize(
    "change",
    [
        {"domain": 5}, {"domain": None}, {"domain": ["a"]}, {"skills": "abc"}, {"skills": [1]}, {"skills": None},
        {"skills": {"a": 1}}, {"difficulty": "2"}, {"difficulty": True}, {"difficulty": None}, {"difficulty": 0},
        {"about": []}, {"about": None}, {"about": "x"}, {"answer": 2}, {"answer": None}, {"question": 5},
        {"question": ["q"]}, {"grader": 5}, {"grader": None}, {"grader": ["number"]}, {"split": 5}, {"split": ["test"]},
        {"split": {"a": 1}}, {"id": "x"},
    ],
    ids=str,
)  # fmt: skip
def test_every_key_of_another_type_is_refused_when_the_suite_is_loaded(tmp_path, change):
    good = {"question": "1+1?", "answer": "2", "grader": "number"}
    path = tmp_path / "suite.jsonl"
    path.write_text(json.dumps({**good, **change}))
    with pytest.raises(ConfigError, match=r"suite\.jsonl, line 1"):
        load_suite(str(path))


@pytest.mark.parametrize("line", ["[" * 100_000, '{"question": ' + "9" * 9000 + "}", "null", '"text"'])
def test_a_line_that_is_no_task_is_refused_in_words(tmp_path, line):
    path = tmp_path / "suite.jsonl"
    path.write_text(line)
    with pytest.raises(ConfigError, match=r"suite\.jsonl, line 1"):
        load_suite(str(path))

"""Graders in processes of their own: mathematics, reasoning-gym's families, and processes that hang or die."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import psutil
import pytest

from langgraph_conductor.errors import ConfigError, GraderError
from langgraph_conductor.rewards import Task, agrade, final_answer, grade, gym_task
from langgraph_conductor.rewards.gym import REFUSED, SOUND
from langgraph_conductor.rewards.processes import GradingProcess, Pool, pool

ROOT = Task("What is it?", "\\sqrt{2}", "math")


@pytest.fixture
def one():
    own = Pool(1)
    yield own
    own.close()


def ask(own, answer, gold="\\sqrt{2}", seconds=10.0):
    return own.ask("math", {"answer": answer, "gold": gold}, seconds)


MATH = {
    "\\frac{1}{3}": (["1/3", "0.3333333", "\\dfrac13"], ["0.33", "3", "1/3 or 1/4", "2/6"]),
    "12": (["12", "$12$", "x = 12"], ["24/2", "3 \\cdot 4", "\\sqrt{144}", "12=12", "1=1", "12 \\cup 13", "\\int_0^{12} 1 dx"]),
    "10^{-8}": (["0.00000001", "\\frac{1}{10^8}"], ["0", "10^{-9}"]),
    "\\sqrt{2} \\cdot 10^{-8}": (["\\frac{\\sqrt{2}}{10^8}"], ["0.0", "0.00000002", "\\sqrt{2}"]),
    "\\sqrt{2}": (["\\frac{2}{\\sqrt{2}}", "1.41421356", "\\sqrt 2", "\\sqrt{2}\\text{ cm}", "x = \\sqrt{2}", "\u221a2", "\u221a(2)", "\\(\\sqrt{2}\\)"], [
        "1.41", "\\pm\\sqrt{2}", "\\{\\sqrt{2}\\}", "\\sqrt{2}, \\sqrt{3}", "\\sqrt{2} \\text{ or } 3", "\\sqrt{2} = \\sqrt{2}", "1 = 1", "x", "x > 1", "x^2 = 2", "\\mathbb{R}", "\\text{two}", "nan",
        "\\sqrt{3} \\cup \\sqrt{2}", "\\sqrt{2}_3", "\\sqrt{2} \\ldots", "1 \\sqrt{2} \\quad 3", "x - x + \\sqrt{2} + y", "\\sum_{k=1}^{1} \\sqrt{2}", "\\max(\\sqrt{2}, 3)", "[0, \\sqrt{2}]", "\\emptyset", "\\infty",
        "\\sqrt{2}} or {3", "\\sqrt{2}}", "}\\sqrt{2}{", "\\boxed{\\sqrt{2}} 3", "\\sqrt{2}'", "$\\sqrt{2}$ $3$", "\u221a3", "\u221a20",
    ]),
    "x^2+1": (["1+x^2", "y = x^2+1", "(x+1)^2 - 2x"], ["x^2", "y^2+1", "x^2+1=0", "x^2+1>0", "a", "1"]),
    "\\{1,2\\}": (["\\{2,1\\}"], ["\\{1\\}", "\\{1,2,3\\}", "(1,2)", "\\{1,2\\} \\cup \\{3\\}", "1", "1<x<2"]),
    "(1,2)": (["(1, 2)"], ["[1,2]", "(2,1)", "(1,2) \\cup (3,4)", "\\{1,2\\}"]),
    "x > 3": (["3<x"], ["x<3", "x \\ge 3", "3", "x>3 or x<3", "1>0"]),
    "y = 2x+1": (["2x+1", "y=1+2x"], ["y=2x", "y=y", "1=1", "z=2x+1", "x=2x+1", "y_1 = 2x+1"]),
    "2x+1": (["1+2x", "y=2x+1"], ["x=2x+1"]),
    "5x\\text{ cm}": (["5x", "5x\\text{ centimeters}", "5x\\ \\mathrm{cm}"], ["5x\\text{ km}", "5x\\text{ m}", "5x\\text{ cm}^2", "5x\\text{ kg}", "6x\\text{ cm}"]),
    "42\\text{ cm}": (["42", "42 cm"], ["42\\text{ km}", "42 km"]),
    "\\text{even}": (["even", "\\text{Even}"], ["odd", "\\text{odd}", "even or odd", "\\text{even or odd}", "n"]),
    "\\frac{2}{6}": (["1/3", "\\frac{2}{6}"], ["\\frac{2}{6}" + sign for sign in (
        "\\cup 3", "\\in 3", "\\lor 3", "\\vee 3", "\\to 3", "\\implies 3", "& 3", "\\\\3", "\\hspace{1} 3", "\\ldots", "!", "\\mid 3")]),
    "\\text{(B)}": (["B", "(B)", "\\text{B}"], ["A", "BB", "B or A", "\\text{(A)}"]),
    "\\text{no}": (["no", "No."], ["on", "n", "yes"]),
    "4210_{5}": (["4210_5", "4210"], ["4210_7", "4210_{7}", "555"]),
    "\\log_2 3": (["\\log_{2}{3}"], ["\\log_3 2", "\\log 3"]),
    "x \\in [1,2]": (["[1,2]"], ["x \\in (1,2)", "[1,3]"]),
    "2x": (["x+x"], ["\\frac{d}{dx} x^2", "\\frac{d}{dx}(x^2)", "2x'", "1 2x", "2x\\approx 3", "\\lbrace 2x\\rbrace", "[2x]", "|2x|", "\\max(2x, x)", "2x \\text{maybe} 3x", "2x \\cdot 1!", "2x = 2x"]),
    "3+4i": (["4i+3"], ["5", "3-4i", "x"]),
}  # fmt: skip


@pytest.mark.parametrize("gold", MATH)
def test_mathematics(gold):
    task = Task("What is it?", gold, "math")
    right, wrong = MATH[gold]
    assert [a for a in [gold, *right] if grade(f"<answer>{a}</answer>", task) != 1.0] == []
    assert [a for a in wrong if grade(f"<answer>{a}</answer>", task) != 0.0] == []


def test_what_the_question_says_itself_is_no_answer():
    task = Task("Simplify $\\sqrt{8}$.", "2\\sqrt{2}", "math")
    assert grade("<answer>\\sqrt{8}</answer>", task) == 0.0
    assert grade("<answer>2 \\sqrt{2}</answer>", task) == 1.0
    for copy in (
        "\\sqrt{8}+0",
        "0+\\sqrt{8}",
        "(\\sqrt{8})",
        "{\\sqrt{8}}/1",
        "\\left(\\sqrt{8}\\right)",
        "\\sqrt {8}-0",
    ):
        assert grade(f"<answer>{copy}</answer>", task) == 0.0, copy
    chosen = Task("Which is even, $x^2+1$ or $x^3$?", "x^2+1", "math")
    assert [grade(f"<answer>{a}</answer>", chosen) for a in ("x^2 + 1", "x^3")] == [1.0, 0.0]


def test_a_long_answer_is_not_read(monkeypatch):
    monkeypatch.setattr("langgraph_conductor.rewards.processes.pool", None)
    task = Task("Simplify $\\sqrt{8}$.", "2\\sqrt{2}", "math")
    assert grade(f"<answer>{'(' * 600}2\\sqrt{{2}}{')' * 600}</answer>", task) == 0.0


def test_powers_of_powers_and_deep_braces_are_refused_unread(monkeypatch):
    task = Task("What is it?", "\\sqrt{2}", "math")
    monkeypatch.setattr("langgraph_conductor.rewards.processes.pool", None)
    for answer in ("9**9**9", "9^{9^{9}}", "10^{10^{10}}", "2^{99999999}", "x^{9999}", "1e9" + "9" * 400):
        assert grade(f"<answer>{answer}</answer>", task) == 0.0, answer


def test_mathematics_in_threads_and_event_loops():
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda a: grade(a, ROOT), ["\\sqrt 2", "\\sqrt 3"] * 4)) == [1.0, 0.0] * 4

    async def all_of_them():
        return await asyncio.gather(
            *(agrade(a, ROOT) for a in ("\\sqrt 2", "\\sqrt 3", "\\sqrt 2"))
        ), grade("\\sqrt 2", ROOT)

    assert asyncio.run(all_of_them()) == ([1.0, 0.0, 1.0], 1.0)
    assert len(pool().pids) <= 2


def test_a_late_process_is_killed_and_replaced(one):
    assert ask(one, "2/\\sqrt{2}")
    (before,) = one.pids
    assert not ask(one, "12^{13^{14^{15}}}", seconds=0.3)
    assert not psutil.pid_exists(before)
    assert ask(one, "2/\\sqrt{2}")
    assert one.pids != (before,)


def test_a_killed_process_is_replaced(one):
    assert ask(one, "2/\\sqrt{2}")
    (before,) = one.pids
    os.kill(before, signal.SIGKILL)
    assert ask(one, "2/\\sqrt{2}")
    assert one.pids != (before,)
    (now,) = one.pids
    one.close()
    assert not psutil.pid_exists(now)


def test_an_interrupted_grading_leaves_no_reply_for_the_next(one):
    assert ask(one, "2/\\sqrt{2}")

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            ask(one, "12^{13^{14^{15}}}")
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)
    said = [ask(one, answer) for answer in ("2/\\sqrt{2}", "\\sqrt{3}", "\\sqrt{3}+1", "2/\\sqrt{2}")]
    assert said == [True, False, False, True]


def test_a_process_that_dies_is_no_late_one(monkeypatch):
    monkeypatch.setattr("langgraph_conductor.rewards.processes.START", 20.0)
    hang = {"answer": "12^{13^{14^{15}}}", "gold": "\\sqrt{2}"}
    process = GradingProcess()
    threading.Timer(0.5, os.kill, (process.pid, signal.SIGKILL)).start()
    assert process.ask("math", hang, 0.1) is None
    monkeypatch.setattr("langgraph_conductor.rewards.processes.START", 10.0)
    process = GradingProcess()
    monkeypatch.setattr("langgraph_conductor.rewards.processes.START", 0.0)
    assert process.ask("math", hang, 0.3) is False
    assert process.ended


def test_a_process_ends_with_the_program_that_started_it():
    script = """
import os, time
from langgraph_conductor.rewards.processes import pool
pool().ask("ping", {})
print(*pool().pids, flush=True)
if os.fork() == 0:  # holds the pipes open
    time.sleep(15)
os._exit(0)
"""
    program = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    (pid,) = map(int, program.stdout.readline().split())
    program.stdout.close()
    program.wait()
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=5)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_forked_program_has_processes_of_its_own():
    script = """
import os
from langgraph_conductor.rewards import Task, grade
from langgraph_conductor.rewards.processes import pool
task = Task("?", "\\\\sqrt{2}", "math")
right, wrong = "2/\\\\sqrt{2}", "3/\\\\sqrt{2}"
first = grade(right, task), pool().pids
child = os.fork()
print(*[grade(answer, task) for answer in (right, wrong) * 5], pool().pids == first[1], flush=True)
if child:
    os.waitpid(child, 0)
    print(pool().pids == first[1] and grade(right, task))
"""
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    scores = " ".join(["1.0 0.0"] * 5)
    assert sorted(out.splitlines()) == ["1.0", f"{scores} False", f"{scores} True"]


def test_threads_that_come_first_share_one_pool(monkeypatch):
    monkeypatch.setattr("langgraph_conductor.rewards.processes._POOLS", {})
    together = threading.Barrier(8)
    made = []

    class Slow(Pool):
        def __init__(self):
            time.sleep(0.05)
            super().__init__()

    monkeypatch.setattr("langgraph_conductor.rewards.processes.Pool", Slow)

    def first():
        together.wait()
        made.append(pool())

    threads = [threading.Thread(target=first) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len(set(made)) == 1


def test_a_process_has_limits(one):
    assert one.ask("ping", {})
    process = psutil.Process(one.pids[0])
    assert process.rlimit(psutil.RLIMIT_AS)[0] == 2 << 30
    assert 0 < process.rlimit(psutil.RLIMIT_CPU)[0] < 100


def test_a_process_gets_no_keys(one, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "secret")
    assert not ask(one, "1")
    (pid,) = one.pids
    assert "SOME_API_KEY" not in psutil.Process(pid).environ()
    assert os.getpgid(pid) == pid


@pytest.mark.parametrize("program", ["/nowhere/python", "/bin/false"])
def test_a_process_that_cannot_start_is_no_score(one, monkeypatch, program):
    monkeypatch.setattr(sys, "executable", program)
    with pytest.raises(GraderError, match="grading process"):
        ask(one, "1")
    monkeypatch.undo()
    assert ask(one, "\\sqrt 2")  # the place in the pool was given back


def test_a_grader_that_fails_by_itself_is_no_score(one):
    with pytest.raises(GraderError, match="no_family"):
        one.ask("gym", {"family": "no_family", "config": {}, "entry": {}, "answer": "1"})
    broken = Task("?", "1", "gym:mini_sudoku", about={"metadata": {}})
    with pytest.raises(GraderError, match="solution"):
        grade("1", broken)
    assert ask(one, "\\sqrt 2")


def items(family, n=2, seed=20_000):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import reasoning_gym

        data = reasoning_gym.create_dataset(family, seed=seed, size=n)
        return [data[i] for i in range(n)]


def tasks(family, n=2):
    made = [gym_task(family, entry) for entry in items(family, n)]
    return [Task.from_json(json.loads(json.dumps(task.to_json()))) for task in made]


@pytest.mark.parametrize("family", sorted(SOUND))
def test_sound_families(family, tmp_path):
    first, second = tasks(family)
    spot = tmp_path / "executed"
    code = [f"__import__('os').system('touch {spot}')", f"open('{spot}','w')"]
    for task, other in ((first, second), (second, first)):
        gold = task.answer
        for reply in (f"So it is <answer>{gold}</answer>.", f"The answer is {gold}.", gold):
            if final_answer(reply, lines=gold.count("\n") + 1):  # else it is long and needs a tag
                assert grade(reply, task) == 1.0, reply
        assert grade(f"<answer>{gold}</answer>", task) == 1.0
        wrong = [
            "junk",
            "nan",
            "inf",
            "-5.5",
            "[]",
            "{}",
            "()",
            "None",
            ".",
            " ".join(map(str, range(1001))),
            task.question,
        ]
        wrong += [f"not {gold}", f"{gold} {gold}", f"1{gold}", f"{gold} ?"]
        wrong += [
            wrap.replace("@", c)
            for c in code
            for wrap in ("@", "[@]", "(@)", "[[@]]", "{'a':@}", "'+@+'", f"{gold}+@")
        ]
        if other.answer != gold:
            wrong += [between.join((gold, other.answer)) for between in (" or ", ", ", "\n", " ", "/", ";")]
            wrong += [between.join((other.answer, gold)) for between in (" or ", ", ", "\n", " ", "/", ";")]
        replies = [
            "",
            " ",
            "<answer></answer>",
            gold * (100_000 // len(gold)),
            "x" * 100_000 + f"<answer>{gold}</answer>",
        ]
        replies += [f"<answer>{a}</answer>" for a in wrong] + [task.question]
        assert [reply[:60] for reply in replies if grade(reply, task) != 0.0] == []
    assert not spot.exists()


def test_no_family_is_both_sound_and_refused():
    assert not SOUND & set(REFUSED)


def test_scorers_that_give_points_for_nothing_are_corrected():
    (number,) = tasks("gsm_symbolic", 1)
    for cheat in (f"-{number.answer}", f"{number.answer} or 5"):
        assert grade(f"<answer>{cheat}</answer>", number) == 0.0
    (people,) = tasks("knights_knaves", 1)
    for cheat in ("anything but @", "@ Or not.", "@ knight", "@ fool"):
        assert grade(f"<answer>{cheat.replace('@', people.answer)}</answer>", people) == 0.0
    (calendar,) = (gym_task("calendar_arithmetic", {**items("calendar_arithmetic", 1)[0], "answer": "-1", "metadata": {"task": "recurring_event_day"}}),)  # fmt: skip
    assert grade("<answer>7</answer>", calendar) == 0.0


def test_graph_colorings_are_verified():
    (entry,) = items("graph_color", 1)
    task = gym_task("graph_color", entry)
    colors = json.loads(task.answer)
    swapped = {vertex: {1: 2, 2: 1}.get(color, color) for vertex, color in colors.items()}
    assert grade(f"<answer>{json.dumps(swapped)}</answer>", task) == 1.0
    for cheat in (
        {},
        dict.fromkeys(colors, 1),
        {v: int(v) + 10 for v in colors},
        dict(list(colors.items())[:-1]),
    ):
        assert grade(f"<answer>{json.dumps(cheat)}</answer>", task) == 0.0


def test_gym_task_keeps_the_items_own_question_and_config():
    (entry,) = items("chain_sum", 1)
    task = gym_task(
        "chain_sum",
        entry,
        question="Put it so: <answer>",
        config={"min_terms": 4},
        skills=["a", "b"],
        difficulty=2,
    )
    assert task.question == "Put it so: <answer>"
    assert task.about["question"] == entry["question"]
    assert task.about["config"] == {"min_terms": 4}
    assert gym_task("gsm_symbolic", {**entry, "metadata": {"x": Fraction(1, 5)}}).about["metadata"] == {
        "x": "1/5"
    }
    assert (task.domain, task.skills, task.difficulty) == ("chain_sum", ("a", "b"), 2)
    assert grade(f"<answer>{task.answer}</answer>", task) == 1.0


def test_gym_task_refuses():
    (entry,) = items("chain_sum", 1)
    with pytest.raises(ConfigError, match="executes code"):
        gym_task("countdown", entry)
    with pytest.raises(ConfigError, match="no JSON"):
        gym_task("chain_sum", {**entry, "metadata": {"a": object()}})
    with pytest.raises(ConfigError, match="no answer"):
        gym_task("chain_sum", {**entry, "answer": None})
    with pytest.raises(ConfigError, match="no answer"):
        gym_task("ab", {**entry, "answer": " "})
    with pytest.raises(ConfigError, match="metadata"):
        grade("1", Task("?", "1", "gym:chain_sum"))

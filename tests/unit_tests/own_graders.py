"""Graders of a user's own, some of them ill-behaved, for `test_own_graders`."""

import asyncio
import os
import subprocess
import sys
import time


def half(answer, task):
    return 0.5


def noisy(answer, task):
    print("noise")
    os.write(1, b'{"right": 1.0}\n')
    sys.stderr.write("noise")
    return answer == task.answer


def parts(answer, task):
    return float((answer, task.question, task.about["n"]) == ("a\ud800\0", "What?", [1]))


def sees_a_key(answer, task):
    return "SOME_API_KEY" in os.environ


API_KEY = "zzcanary4711secret"


def tells_its_key(answer, task):
    raise ValueError("x" * 250 + f" 401 for {API_KEY}" + "y" * 250)


def leaves(answer, task):
    sys.exit(0)


def leaves_at_once(answer, task):
    os._exit(0)


def interrupts(answer, task):
    raise KeyboardInterrupt


def hangs(answer, task):
    while True:
        pass


def starts_another(answer, task):
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with open(answer, "w") as file:
        file.write(str(other.pid))
    time.sleep(60)


def reads(answer, task):
    return input()


def recurses(answer, task):
    return recurses(answer, task)


class SilentError(Exception):
    def __str__(self):
        raise ValueError


def fails_silently(answer, task):
    raise SilentError


def touches(answer, task):
    with open(answer, "w"):
        return 1


RETURNS = {
    "nan": float("nan"), "inf": float("inf"), "more": 1.5, "less": -0.1, "big": 10**400, "text": "1" * 10_000_000, "nothing": None,
    "many": [1.0],
}  # fmt: skip


def gives(answer, task):
    return RETURNS[answer]


async def waits(answer, task):
    await asyncio.sleep(0)
    return 1.0

"""Suites from files: a user's own, and two public ones in the form their authors publish."""

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from langgraph_conductor.errors import ConfigError
from langgraph_conductor.evals.suites.suite import FORM, SPLITS, Split, Suite, in_splits, split_of
from langgraph_conductor.rewards import Task, check_task
from langgraph_conductor.rewards.grading import is_own
from langgraph_conductor.rewards.plain import value
from langgraph_conductor.text_files import read_json, read_text


def jsonl_suite(path: Path, *, allow_code: bool = False) -> Suite:
    """A suite from a file with one task as JSON on each line.

    Such as `{"question": "1+1?", "answer": "2", "grader": "number", "split": "test"}`. The keys are those of
    `Task`, and `split`, which all lines have or none: without it the question's hash decides. Empty lines are
    passed over.

    Args:
        path: The file.
        allow_code: Whether graders may be functions that the file names (`module:function`). These are code: they
            run, in a process without keys, with the rights of who runs this.

    Raises:
        ConfigError: If a line holds a mistake, or names code that is not allowed; the message names file and line,
            and what is allowed.
    """
    text = _read(path)
    found: dict[str, tuple[int, Task, Split | None]] = {}
    for number, line in _lines(text):
        task, split = _parse(line, f"{path}, line {number}", allow_code)
        if task.question in found:
            first = found[task.question][0]
            raise ConfigError(f"{path}, line {number}: the question is that of line {first}; leave one out")
        found[task.question] = number, task, split
    if not found:
        raise ConfigError(f"{path}: there is no task in it; each line is a task as JSON")
    without = [number for number, _, split in found.values() if split is None]
    if 0 < len(without) < len(found):
        raise ConfigError(
            f"{path}, line {without[0]}: it has no `split`, and other lines have one; "
            f"give it to all ({', '.join(SPLITS)}), or to none and the question's hash decides"
        )
    tasks = [task for _, task, _ in found.values()]
    parts = in_splits(tasks, lambda task: found[task.question][2] or split_of(task))
    return Suite(path.stem, parts, {"file": path.name, "sha256": _sha256(text)})


def gsm8k_suite(folder: Path) -> Suite:
    """GSM8K: word problems whose answer is a number.

    `train.jsonl` is split by hash into train and validation (4 to 1); `test.jsonl` is the test split.

    Args:
        folder: Holds the two files of the authors' repository; each line has `question`, and `answer`, which ends
            in `#### ` and the number.

    Raises:
        ConfigError: If a file is missing or holds a mistake.

    Source: Cobbe et al. 2021, GSM8K (arXiv 2110.14168).
    """
    return _public("gsm8k", _gsm8k(folder / "test.jsonl"), _gsm8k(folder / "train.jsonl"))


def mmlu_suite(folder: Path) -> Suite:
    """MMLU: questions of 57 subjects with four choices; a task's domain is its subject.

    The files of `dev/` are split by hash into train and validation (4 to 1), those of `test/` are the test split.

    Args:
        folder: Holds `dev/` and `test/` with a file `<subject>_dev.csv` or `<subject>_test.csv` for each subject,
            without header: question, four choices, letter of the right one.

    Raises:
        ConfigError: If a folder is missing or a file holds a mistake.

    Source: Hendrycks et al. 2020, MMLU (arXiv 2009.03300).
    """
    return _public("mmlu", _mmlu(folder, "test"), _mmlu(folder, "dev"))


def _public(name: str, test: Iterable[Task], rest: Iterable[Task]) -> Suite:
    """Test questions first: one that occurs again is asked in the test split, and nobody learns from it."""
    tasks: dict[str, Task] = {}
    repeated = 0
    for task in test:
        repeated += tasks.setdefault(task.question, task) is not task
    tested = set(tasks)
    for task in rest:
        repeated += tasks.setdefault(task.question, task) is not task

    def split(task: Task) -> Split:
        return "test" if task.question in tested else "validation" if int(task.id, 16) % 5 == 0 else "train"

    digests = _sha256("".join(task.digest for task in tasks.values()))
    return Suite(name, in_splits(tasks.values(), split), {"repeated": repeated, "sha256": digests})


def _gsm8k(path: Path) -> Iterator[Task]:
    for number, line in _lines(_read(path)):
        where = f"{path}, line {number}"
        data = _object(line, where)
        question, solution = data.get("question"), data.get("answer")
        if not isinstance(question, str) or not isinstance(solution, str) or "####" not in solution:
            raise ConfigError(
                f"{where}: it needs `question`, and `answer` that ends in '#### ' and the number"
            )
        answer = solution.rpartition("####")[2].strip().replace(",", "")
        if value(answer) is None:
            raise ConfigError(f"{where}: behind '#### ' there is no number but {answer!r:.80}")
        yield Task(f"{question.strip()}\n{FORM}", answer, "number", domain="gsm8k")


def _mmlu(folder: Path, part: str) -> Iterator[Task]:
    paths = sorted((folder / part).glob(f"*_{part}.csv"))
    if not paths:
        raise ConfigError(f"{folder / part}: there is no file <subject>_{part}.csv in it")
    for path in paths:
        subject = path.name.removesuffix(f"_{part}.csv")
        rows = csv.reader(io.StringIO(_read(path), newline=""))
        for number, row in enumerate(rows, 1):
            if len(row) != 6 or row[5] not in tuple("ABCD"):
                raise ConfigError(
                    f"{path}, row {number}: it needs a question, four choices and A, B, C or D, not {row!r:.200}"
                )
            question, *choices, letter = row
            told = "\n".join(f"{name}. {choice}" for name, choice in zip("ABCD", choices, strict=True))
            text = f"{question.strip()}\n{told}\nChoose one letter. {FORM}"
            yield Task(text, letter, "choice", domain=subject, about={"choices": choices})


def _parse(line: str, where: str, allow_code: bool) -> tuple[Task, Split | None]:
    data = _object(line, where)
    split = data.pop("split", None)
    if split is not None and split not in SPLITS:
        raise ConfigError(f"{where}: there is no split {split!r}; there are {', '.join(SPLITS)}")
    try:
        task = Task.from_json(data)
        if is_own(task.grader) and not allow_code:
            raise ConfigError(
                f"grader {task.grader!r} is code of this file's choice; if you trust it, allow it: --allow-code, "
                "`load_suite(..., allow_code=True)`, or `allow_code = true` under [data] of a train.toml"
            )
        check_task(task)
        return task, split
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}; `split` may be there too") from None


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        data = read_json(line)
    except ValueError as error:
        raise ConfigError(f"{where}: this is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{where}: a line is a JSON object with the keys of a task, not {line!r:.80}")
    return data


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, counted from 1. `splitlines` would also cut at U+2028, which JSON may hold."""
    return ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def _read(path: Path) -> str:
    try:
        return read_text(path)
    except OSError as error:
        raise ConfigError(f"{path}: it cannot be read: {error.strerror}") from None
    except ValueError:
        raise ConfigError(f"{path}: it is not UTF-8 text") from None


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

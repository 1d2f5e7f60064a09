"""The majority of answers, counted without a model."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from langgraph_conductor.records import WorkerTask
from langgraph_conductor.rewards import final_answer
from langgraph_conductor.rewards.plain import normal, value
from langgraph_conductor.workers import Worker

VOTE: Final = "majority_vote"
"""Name of the worker that counts. No planner is offered it."""

MOST_VOTES: Final = 64
"""Most answers a majority vote is taken of, however dear the planner it is compared with."""
_NO_WORDS: Final = re.compile(r"\\[a-z]+|(?<=\d)e(?=[-+]?\d)")
"""Letters of a number: TeX and exponents."""


def vote_worker() -> Worker:
    """A worker that calls no model and repeats the answer most of the outputs granted to it agree on."""
    return Worker(VOTE, count_votes, description="Counts equal answers.")


def count_votes(task: WorkerTask) -> str:
    """The output with the answer most agree on.

    Raises:
        ValueError: If no answer was granted.
    """
    texts = [output.text for output in task.inputs if output.status == "ok"]
    if not texts:
        raise ValueError("there is no answer to count")
    return texts[majority_of(texts)]


def majority_of(texts: Sequence[str]) -> int:
    """Position of the earliest text whose final answer most of the texts share.

    Of equally frequent answers the earliest counts, and of the ways an answer was written the most frequent. A
    text without a readable final answer has no vote, unless none has one; then the first is taken.

    Args:
        texts: Whole answers, at least one.
    """
    answers = [final_answer(text) for text in texts]
    votes = [None if answer is None else normalised(answer) for answer in answers]
    counts = Counter(vote for vote in votes if vote is not None)
    if not counts:
        return 0
    winner = counts.most_common(1)[0][0]  # of equally frequent ones the first seen
    written = Counter(answer for answer, vote in zip(answers, votes, strict=True) if vote == winner)
    return answers.index(written.most_common(1)[0][0])


def normalised(answer: str) -> str:
    """`answer` so that spelling tells no two equal ones apart: case, spaces, quotes, final stop, a number's form.

    Numbers are read as the grader `number` reads them, but not from among words: 10 March is not 10 April.
    """
    text = normal(answer)
    if any(sign.isalpha() for sign in _NO_WORDS.sub("", text)):
        return text
    number = value(text)
    return text if number is None else str(number)

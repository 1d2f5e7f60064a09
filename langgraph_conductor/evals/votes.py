"""The majority of answers, counted without a model."""

import re
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

from langgraph_conductor.records import WorkerTask
from langgraph_conductor.rewards import final_answer
from langgraph_conductor.workers import Worker

VOTE: Final = "majority_vote"
"""Name of the worker that counts. No planner is offered it."""

MOST_VOTES: Final = 64
"""Most answers a majority vote is taken of, however dear the planner it is compared with."""

_THOUSANDS: Final = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d+)?")


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

    Of equally frequent answers the earliest counts. A text without a readable final answer has no vote,
    unless none has one; then the first is taken.

    Args:
        texts: Whole answers, at least one.
    """
    answers = [final_answer(text) for text in texts]
    votes = [None if answer is None else normalised(answer) for answer in answers]
    counts = Counter(vote for vote in votes if vote is not None)
    if not counts:
        return 0
    most = max(counts.values())
    return next(i for i, vote in enumerate(votes) if vote is not None and counts[vote] == most)


def normalised(answer: str) -> str:
    """`answer` so that spelling tells no two equal ones apart: case, spaces, a final stop, forms of a number."""
    text = " ".join(answer.casefold().split()).rstrip(". ")
    plain = text.removeprefix("$")
    try:
        number = Decimal(plain.replace(",", "") if _THOUSANDS.fullmatch(plain) else plain)
    except InvalidOperation:
        return text
    return f"{number.normalize():f}" if number.is_finite() and abs(number.adjusted()) < 100 else text

"""`langgraph-conductor demo`: a planned team of embedded models answers unlike questions, offline."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from langgraph_conductor import Planner, PlanRequest, Step, Workflow, create_conductor, local
from langgraph_conductor.display import describe
from langgraph_conductor.planners import PlanningError, fixed


@dataclass(frozen=True, slots=True)
class Question:
    """A question of the demo.

    Args:
        text: What is asked.
        exact: What the calculator must say if it is asked, known beforehand.
        workflow: A hand-written workflow, where the embedded planner is not up to planning one.
    """

    text: str
    exact: str = ""
    workflow: Workflow | None = None


QUESTIONS: Final = (
    Question("What is 48 * 271 - 19?", "12989"),
    Question("Who wrote Hamlet?"),
    Question("What is 'stressed' spelled backwards?"),
    Question("Find 12.5% of 960.", "120"),
    Question(
        "One way to the capital of Italy is 17 * 23 km. Write a sentence on a road as long as both ways.",
        "782",
        Workflow(
            (
                Step("calculator", "Compute 2 * 17 * 23"),
                Step("smollm2", "What is the capital of Italy?"),
                Step(
                    "smollm2", "Write one sentence about a road of this length in km to this city.", (0, 1)
                ),
            )
        ),
    ),
)

Say = Callable[[str], Any]


def run(say: Say) -> bool:
    """Answer every question, showing each step, and check the calculator.

    Args:
        say: Prints one text.

    Returns:
        Whether every question got an answer and every exact result was right.
    """
    say("Loading SmolLM2 with 135 million parameters. It shows the machinery, not quality.")
    pool = local.workers()
    planner = local.planner()
    reached: Counter[str] = Counter()
    good = True
    checked = 0
    for question in QUESTIONS:
        chosen: Planner = fixed.workflow(question.workflow) if question.workflow else planner
        conductor = create_conductor(chosen, pool, max_steps=3)
        result = conductor.invoke({"messages": [{"role": "user", "content": question.text}]})
        say(f"\n{'=' * 72}\nquestion: {question.text}\n\n{describe(result)}")
        for step in result["rounds"][0]["steps"]:
            if step["worker"] == "calculator":
                right = step["text"] == question.exact
                say(f"check: the calculator said {step['text']!r}, " + ("right" if right else "WRONG"))
                checked += 1
                good &= right
        good &= bool(result["answer"])
        reached[result["rounds"][0]["plan"]["reached"]] += 1
    say(f"\n{'=' * 72}\nplans that ran:        {_counted(reached)}")
    say(f"the same in free text: {_counted(_planned_in_text(pool))}")
    say(f"exact results checked: {checked}")
    return good and checked > 0


def _planned_in_text(pool: Any) -> Counter[str]:
    """How the planner fares without a schema; nothing of it is run."""
    planner = local.planner(structured=False)
    reached: Counter[str] = Counter()
    for question in QUESTIONS:
        if question.workflow is None:
            request = PlanRequest(({"type": "text", "text": question.text},), pool, max_steps=3)
            try:
                reached[planner.plan(request).reached] += 1
            except PlanningError:
                reached["fallback"] += 1
    return reached


def _counted(reached: Counter[str]) -> str:
    words = {
        "unaided": "unaided", "schema": "under a schema", "repair": "by repair", "fallback": "by fallback",
        "fixed": "hand-written",
    }  # fmt: skip
    return ", ".join(f"{reached[key]} {word}" for key, word in words.items())

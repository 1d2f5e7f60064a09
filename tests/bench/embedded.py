"""How well the embedded planner plans: 30 questions near in kind to its examples, under a schema and without.

The sampling is greedy, but small changes of the machine can change single plans.
"""

from collections import Counter

from langgraph_conductor import local
from langgraph_conductor.planners import PlanningError, PlanRequest

QUESTIONS = {
    "calculator": [
        "What is 873 + 219?", "How much is 64 times 37?", "Please calculate 9801 / 99.", "What's 15 * (6 + 7)?",
        "Find 25% of 360.", "Subtract 48 from 305.", "2 to the power of 16 is what?",
        "What is the product of 312 and 45?", "If a pen costs 3 dollars, what do 17 pens cost?",
        "Evaluate 0.1 + 0.2.",
    ],
    "wordsmith": [
        "Put these words in alphabetical order: pear, kiwi, fig, plum", "Reverse the word 'planet'.",
        "How many vowels does 'education' have?", "Make this upper case: hello world",
        "What is 'stressed' spelled backwards?", "Count the letters in the word 'butterfly'.",
        "Give the first letter of each word: red orange yellow",
        "Write these words in the opposite order: one two three",
        "How often does the letter s occur in 'mississippi'?", "Convert 'MAKE IT QUIET' to lower case.",
    ],
    "smollm2": [
        "What is the capital of Italy?", "Who painted the Mona Lisa?", "Why is the sky blue?",
        "Name a famous river in Africa.", "In which year did the Second World War end?",
        "Write a short poem about the sea.", "What do bees make?", "Explain gravity to a child.",
        "Which language is spoken in Brazil?", "Suggest a title for a story about a lost key.",
    ],
}  # fmt: skip


def main() -> bool:
    """Report; there is no limit to keep."""
    pool = local.workers()
    print("embedded planner: 30 questions")
    for structured in (True, False):
        planner = local.planner(structured=structured)
        reached: Counter[str] = Counter()
        right: Counter[str] = Counter()
        for worker, texts in QUESTIONS.items():
            for text in texts:
                try:
                    plan = planner.plan(PlanRequest(({"type": "text", "text": text},), pool, max_steps=3))
                except PlanningError:
                    reached["failed"] += 1
                    continue
                reached[plan.reached] += 1
                right[worker] += plan.workflow.steps[0].worker == worker  # type: ignore[union-attr]
        mode = "under a schema" if structured else "free text"
        print(f"  {mode}: plans {dict(reached)}, first worker right {right.total()} of 30 {dict(right)}")
    return True


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)

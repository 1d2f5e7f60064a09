"""Evaluation: every strategy on one engine, one grader, one budget, and a report that can say no.

`evaluate` asks every strategy the same tasks, and `write_report` writes what it found as Markdown and HTML.
`load_suite` has the suites of the command line. The list of strategies itself is `evals.strategies.strategies`.

Example:
    ```python
    import asyncio

    from langgraph_conductor import Step, Worker, WorkerPool, Workflow
    from langgraph_conductor.evals import Runner, Strategy, Suite, evaluate, summarise
    from langgraph_conductor.planners import fixed
    from langgraph_conductor.replay import ReplyStore
    from langgraph_conductor.rewards import Task


    def adder(task):
        words = task.question[0]["text"].split()
        return str(sum(int(word) for word in words if word.isdigit()))


    def guesser(task):
        return "7"


    pool = WorkerPool([Worker("adder", adder), Worker("guesser", guesser)])
    sums = [Task(f"What is 3 plus {n} ?", str(3 + n), "number") for n in range(12)]
    suite = Suite("sums", {"train": tuple(sums[:4]), "test": tuple(sums[4:])})

    # A strategy of your own; its planner may also be a class of yours, with kind "planner".
    guess_first = Workflow((Step("guesser", "Guess."), Step("adder", "Check the guess.", (0,))))
    mine = Strategy("guess first", "fixed", fixed.workflow(guess_first), pool, max_steps=2)

    with ReplyStore(":memory:") as store:  # or a file, so that nothing is paid twice
        runner = Runner(store)
        evaluation = asyncio.run(evaluate(suite, pool, None, runner, extra=[mine], second_rounds=False))

    found = {one.strategy: one.accuracy.value for one in summarise(evaluation).strategies}
    assert evaluation.reference == "single(adder)"
    assert found["guess first"] == 1 and found["single(guesser)"] == 1 / 8
    ```

    `write_report(evaluation, "evaluation")` then writes the folder.
"""

from typing import TYPE_CHECKING

from langgraph_conductor.lazy import lazily

if TYPE_CHECKING:
    from langgraph_conductor.evals.evaluating import evaluate, measure
    from langgraph_conductor.evals.report import write_report
    from langgraph_conductor.evals.results import Evaluation, Outcome
    from langgraph_conductor.evals.running import Runner
    from langgraph_conductor.evals.strategies import Strategy
    from langgraph_conductor.evals.suites import Suite, load_suite
    from langgraph_conductor.evals.summarising import summarise

__all__ = [
    "evaluate", "measure", "Runner", "Strategy", "Suite", "load_suite",
    "Evaluation", "Outcome", "summarise", "write_report",
]  # fmt: skip

# Plotting and statistics are slow to import.
__getattr__ = lazily(
    __name__,
    {
        "evaluate": "evaluating",
        "measure": "evaluating",
        "Runner": "running",
        "Strategy": "strategies",
        "Suite": "suites",
        "load_suite": "suites",
        "Evaluation": "results",
        "Outcome": "results",
        "summarise": "summarising",
        "write_report": "report",
    },
)

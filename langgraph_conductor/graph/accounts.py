"""What rounds add up to: usage, failures, and whether the budget ended the run."""

from collections.abc import Iterable, Mapping
from typing import Any

from langgraph_conductor.errors import BudgetExceededError, WorkerError
from langgraph_conductor.records import ErrorRecord, RoundRecord, latest_answered
from langgraph_conductor.usage import Usage


def usage_of(rounds: Iterable[RoundRecord]) -> dict[str, Any]:
    """What rounds used: planner and workers apart and together, by worker, by round, and the time on the clock."""
    rounds = list(rounds)
    planner, workers = Usage(), Usage()
    by_worker: dict[str, Usage] = {}
    by_round: list[Usage] = []
    for record in rounds:
        planned = Usage.from_json(record["plan"]["usage"])
        planner += planned
        whole = planned
        for step in record["steps"]:
            used = Usage.from_json(step["usage"])
            workers += used
            whole += used
            parts = [(call["worker"], Usage.from_json(call["usage"])) for call in step["model_calls"]]
            for name, part in (*parts, (step["answered_by"], Usage(busy_seconds=used.busy_seconds))):
                by_worker[name] = by_worker.get(name, Usage()) + part
        for call in record.get("discarded", ()):
            used = Usage.from_json(call["usage"])
            workers += used
            whole += used
            by_worker[call["worker"]] = by_worker.get(call["worker"], Usage()) + used
        by_round.append(whole)
    return {
        "planner": planner.to_json(),
        "workers": workers.to_json(),
        "total": (planner + workers).to_json(),
        "by_worker": {name: used.to_json() for name, used in by_worker.items()},
        "by_round": [used.to_json() for used in by_round],
        "wall_seconds": sum(r["plan"]["seconds"] + r["wall_seconds"] for r in rounds),
    }


def added_up(usages: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The usages of several runs, each as `usage_of` gives it, as that of one; its rounds one after another."""
    usages = list(usages)
    names = dict.fromkeys(name for used in usages for name in used["by_worker"])

    def whole(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        return sum((Usage.from_json(part) for part in parts), Usage()).to_json()

    return {
        **{part: whole(used[part] for used in usages) for part in ("planner", "workers", "total")},
        "by_worker": {n: whole(u["by_worker"][n] for u in usages if n in u["by_worker"]) for n in names},
        "by_round": [part for used in usages for part in used["by_round"]],
        "wall_seconds": sum(used["wall_seconds"] for used in usages),
    }


def failures(rounds: Iterable[RoundRecord]) -> list[tuple[str, ErrorRecord]]:
    """Where something failed, and why, oldest first."""
    found: list[tuple[str, ErrorRecord]] = []
    for record in rounds:
        if error := record["plan"]["error"]:
            found.append((f"round {record['round']}, planner", error))
        for step in record["steps"]:
            if error := step["error"]:
                found.append((f"round {record['round']}, step {step['index']} ({step['worker']})", error))
    return found


def is_infra(error: ErrorRecord) -> bool:
    """Whether the infrastructure is to blame: an outage, a refused key, a model that is not there."""
    return error["infrastructure"] or "kind" in error


def told(error: ErrorRecord) -> str:
    """The error as a line of text."""
    where = f" ({error['where']})" if "where" in error else ""
    return f"{error['type']}: {error['message']}{where}"


def causes(rounds: Iterable[RoundRecord]) -> list[str]:
    """The failures as lines of text."""
    return [f"{where}: {told(error)}" for where, error in failures(rounds)]


def ended_by_budget(rounds: Iterable[RoundRecord]) -> ErrorRecord | None:
    """The refusal that ended the run, if one did."""
    told = (part.get("refusal") for record in rounds for part in (record["plan"], *record["steps"]))
    return next((refusal for refusal in told if refusal), None)


def unanswered(
    rounds: Iterable[RoundRecord], refusal: ErrorRecord | None
) -> WorkerError | BudgetExceededError | None:
    """Why a run has no answer that is over; `None` if it has one, or a person ended it.

    Args:
        rounds: Its rounds.
        refusal: The refusal of its budget that ended it, if one did.
    """
    rounds = [*rounds]
    if latest_answered(rounds) is not None or stopped_by_person(rounds):
        return None
    if refusal:
        why = "no worker gave an answer within the budget"
        return BudgetExceededError(why, limit=refusal["limit"], causes=causes(rounds))
    of_steps = [step["error"] for record in rounds for step in record["steps"] if step["error"]]
    return WorkerError(
        "no worker gave an answer",
        causes=causes(rounds),
        infrastructure=all(error["infrastructure"] for error in of_steps),
        errors=[error for _, error in failures(rounds)],
        usage=usage_of(rounds)["total"],
    )


def stopped_by_person(rounds: Iterable[RoundRecord]) -> str:
    """That a person ended the run, if one did."""
    for record in rounds:
        approval = record["plan"].get("approval")
        if approval and approval["said"] == "stop":
            return "the run was ended by a person, who did not let the workflow run"
    return ""

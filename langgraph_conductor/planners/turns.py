"""One step at a time: a coordinator that reads what came back before it decides who does what next.

After TRINITY (Xu et al. 2025, arXiv 2512.04695), whose coordinator gives each turn to one model in one of three
roles: one thinks, one works, one verifies, and the verifier may end the run. There the coordinator is a small
trained network; here it is any chat model that is asked. Each turn is a round of its own, with a workflow of one
step, so that everything a conductor does around rounds holds for turns too.
"""

import json
import re
from typing import Any, Final, Literal, get_args

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from langgraph_conductor.dialect import ACCEPT, Accept
from langgraph_conductor.errors import PlanError
from langgraph_conductor.planners.chat import ChatPlanner
from langgraph_conductor.planners.protocol import Plan, PlanRequest
from langgraph_conductor.planners.showing import worker_lines
from langgraph_conductor.prompts import carried_by, instructed, question_shown, rejected_prompt, tagged
from langgraph_conductor.records import RoundRecord
from langgraph_conductor.replies import drop_thinking, storable
from langgraph_conductor.tags import escape
from langgraph_conductor.workflow import Step, Workflow

Role = Literal["think", "work", "verify"]
"""What a model does in a turn."""

SHOWN_CHARS: Final = 6_000
"""Most characters of a turn's text that the coordinator is shown; the models it grants it to get it whole."""

_SYSTEM: Final = """\
You lead a team of models through a problem, turn by turn. You never solve it yourself: you decide who does what \
next, after you have read what came back.\
"""

_ROLES: Final[dict[Role, str]] = {
    "think": "Do not solve it yet. Say what is to be done, or what is wrong with what was done:",
    "work": "Do this, and write out whatever follows from it:",
    "verify": (
        "Check whether the newest work answers the overall task, rightly and wholly. End with a line that says "
        "ACCEPTED if it does, or REJECTED and why. Look at this above all:"
    ),
}
"""How a subtask begins, by role."""

_TASK: Final = """\
Decide the next turn. In a turn one model does one thing, in one of three roles:

- think: it looks at what there is and says what is to be done, or what went wrong;
- work: it takes the solution further, or writes it out. What the last one of these wrote is the answer when the \
run ends;
- verify: it checks the newest work, and the run is over if it finds nothing to mend.

A model sees the question, what you ask of it, and the turns you let it read, and nothing else.{left}

Write a JSON object and nothing after it:
{{"reasoning": "why", "worker": "a model's name", "role": "think, work or verify", "subtask": "what it shall do", \
"reads": [numbers of turns it may read]}}\
"""


class TurnsPlanner(ChatPlanner):
    r"""Plans one step at a time, and reads what came back.

    Each turn is a round of one step, in one of three roles: a worker thinks (says what is to be done), works
    (takes the solution further) or verifies the newest work. Give the conductor `max_rounds` for as many turns as
    there may be; with the default of one round there is a single turn. A run ends when a verifier accepts, or
    with the last turn; the answer is the newest work. `max_steps`, `examples`, `prefill` and
    `show_previous_plan` have no bearing on turns.

    Source: TRINITY (Xu et al. 2025, arXiv 2512.04695), with a prompted model for its trained coordinator.

    Args:
        model: As in `ChatPlanner`, like all options.

    Raises:
        ValueError: As `ChatPlanner`.
        TypeError: As `ChatPlanner`.

    Example:
        ```python
        from langgraph_conductor import Worker, create_conductor
        from langgraph_conductor.planners import TurnsPlanner
        from langgraph_conductor.testing import ScriptedModel

        turns = [
            '{"reasoning": "", "worker": "adder", "role": "work", "subtask": "Add up.", "reads": []}',
            '{"reasoning": "", "worker": "judge", "role": "verify", "subtask": "The sum.", "reads": [0]}',
        ]
        workers = [Worker("adder", lambda task: "5"), Worker("judge", lambda task: "It is right.\nACCEPTED")]
        conductor = create_conductor(TurnsPlanner(ScriptedModel(replies=turns)), workers, max_rounds=6)
        print(conductor.invoke({"messages": [{"role": "user", "content": "2 + 3?"}]})["answer"])  # 5
        ```
    """

    @classmethod
    def like(cls, planner: ChatPlanner) -> "TurnsPlanner":
        """One with the model and options of `planner`, which is shown what that is shown."""
        other = cls.__new__(cls)
        vars(other).update(vars(planner))
        other.prefill = ""  # of a workflow
        return other

    def plan(self, request: PlanRequest) -> Plan:
        """The next turn; the end, without a call, if a verifier accepted the newest work."""
        return _ended() if accepted(request.rounds) else super().plan(request)

    async def aplan(self, request: PlanRequest) -> Plan:
        """`plan`, awaited."""
        return _ended() if accepted(request.rounds) else await super().aplan(request)

    def is_answer(self, workflow: Workflow) -> bool:
        """Whether it ends with work."""
        return _role(workflow.steps[-1].subtask) == "work"

    def render(self, request: PlanRequest) -> list[BaseMessage]:
        """The prompt for `request`."""
        left = request.rounds_left
        told = (
            f" At most {left} turn{'s are' if left != 1 else ' is'} left, this one counted." if left else ""
        )
        lines = worker_lines(request.pool, self.show, self.profiles, request.question)
        parts = [
            f"The models:\n{chr(10).join(map(escape, lines))}",
            question_shown(request.question),
            *filter(None, [carried_by(request.question)]),
            *(_turn_shown(record) for record in request.rounds),
            _TASK.format(left=told),
        ]
        if request.budget:
            parts.insert(0, f"Left of the budget: {request.budget}.")
        messages: list[BaseMessage] = [
            SystemMessage(instructed(_SYSTEM, self.instructions)),
            self.asking("\n\n".join(parts), request),
        ]
        for _, reason in request.rejected:
            messages.append(HumanMessage(rejected_prompt(reason)))
        return messages

    def parse(self, text: str, request: PlanRequest) -> Workflow | Accept:
        """The turn in `text`, as a workflow of one step.

        Raises:
            PlanError: If it cannot be read or run.
        """
        turn = _object_in(drop_thinking(text, strict=True))
        names = [str(identity) for identity in self._ids(request)]
        worker, role, subtask = (
            storable(str(turn.get(key) or "")) for key in ("worker", "role", "subtask")
        )
        if worker not in names:
            raise PlanError(f"there is no worker {worker!r}; choose from {', '.join(names)}", text=text)
        if role not in get_args(Role):
            raise PlanError(f"the role must be think, work or verify, not {role!r}", text=text)
        if role == "verify" and not any(r["answer"] and role_of(r) == "work" for r in request.rounds):
            raise PlanError("there is no work yet that could be verified", text=text)
        if not subtask.strip():
            raise PlanError("the subtask is empty; say what the worker shall do", text=text)
        if self.show == "anonymous":
            worker = request.pool.ordinals[int(worker)]
        begins = next(words for known, words in _ROLES.items() if known == role)
        step = Step(worker, f"{begins} {subtask}", earlier=_granted(turn.get("reads"), request, text))
        workflow = Workflow((step,))
        request.pool.check(workflow)
        return workflow

    @property
    def _example_schema(self) -> dict[str, Any]:
        return _schema(["a"], self.max_subtask_chars)

    def _schema(self, request: PlanRequest) -> dict[str, Any]:
        return _schema([str(identity) for identity in self._ids(request)], self.max_subtask_chars)


def role_of(record: RoundRecord) -> Role | None:
    """The role of a turn, by how its subtask begins; `None` if it is none."""
    return _role(record["steps"][-1]["subtask"]) if record["steps"] else None


def _role(subtask: str) -> Role | None:
    return next((role for role, words in _ROLES.items() if subtask.startswith(words)), None)


def accepted(rounds: tuple[RoundRecord, ...]) -> bool:
    """Whether the last turn was a verifier's that accepted."""
    if not rounds or role_of(rounds[-1]) != "verify":
        return False
    said = re.findall(r"\b(ACCEPTED|REJECTED)\b", rounds[-1]["answer"])
    return bool(said) and said[-1] == "ACCEPTED"


def _ended() -> Plan:
    return Plan(ACCEPT, final=True)


def _turn_shown(record: RoundRecord) -> str:
    """A turn as the coordinator reads it."""
    number, text = record["round"], record["answer"]
    cut = text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}\n[...]"
    parts = []
    for step in record["steps"]:
        about = {"round": number, "worker": step["worker"]}
        parts += [tagged("step_subtask", step["subtask"], **about), tagged("step_output", cut, **about)]
    return "\n".join(parts)


def _granted(reads: Any, request: PlanRequest, text: str) -> tuple[tuple[int, int], ...]:
    """The outputs of the turns that may be read."""
    if not isinstance(reads, list) or not all(type(number) is int for number in reads):
        raise PlanError("reads must be a list of numbers of turns", text=text)
    last = {record["round"]: len(record["steps"]) - 1 for record in request.rounds if record["steps"]}
    if unknown := sorted(set(reads) - set(last)):
        there = ", ".join(map(str, last)) or "none yet"
        raise PlanError(f"there is no turn {unknown[0]} to read; there are: {there}", text=text)
    return tuple((number, last[number]) for number in reads)


_OBJECT: Final = re.compile(r'\{\s*+"')
_ATTEMPT: Final = 64
"""Characters that could be read in the time that a beginning which is none takes."""


def _object_in(text: str) -> dict[str, Any]:
    """The last JSON object in a text that is a turn."""
    decoder = json.JSONDecoder()
    # Beginnings inside of each other would be read to the end again and again; a turn is found long before.
    work = 8 * len(text) + 1000
    for at in reversed([match.start() for match in _OBJECT.finditer(text)]):
        if work < 0:
            break
        try:
            found, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            work -= max(_ATTEMPT, error.pos - at)
            continue
        except (ValueError, RecursionError):  # a number or nesting of thousands
            work -= len(text) - at
            continue
        work -= end - at
        if isinstance(found, dict) and "worker" in found:
            return found
    raise PlanError("there is no JSON object with worker, role, subtask and reads", text=text)


def _schema(names: list[str], max_chars: int | None) -> dict[str, Any]:
    line: dict[str, Any] = {"type": "string"} | ({"maxLength": max_chars} if max_chars else {})
    properties = {
        "reasoning": line,
        "worker": {"type": "string", "enum": names},
        "role": {"type": "string", "enum": list(get_args(Role))},
        "subtask": line,
        "reads": {"type": "array", "items": {"type": "integer"}},
    }
    return {
        "title": "turn",
        "description": "The next turn.",
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }

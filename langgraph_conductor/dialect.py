"""Text to `Workflow`: the paper's three lists, the same as JSON, and steps as JSON.

Source: Conductor paper, figures 2, 13 and 14. The first complete set of the three lists counts; text
before and after it is reasoning. Every fault is a `PlanError` that says how to mend it, so that it
can be sent back to the planner as it is.
"""

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import Enum
from itertools import chain, islice, pairwise
from typing import Any, Final, Literal

from langgraph_conductor.errors import PlanError
from langgraph_conductor.literals import LiteralError, LiteralReader
from langgraph_conductor.mending import has_texts, in_other_words, json_of_plan, mended
from langgraph_conductor.replies import drop_thinking, storable
from langgraph_conductor.workflow import ALL, Step, Workflow, brief, ordinals_of


class _Accept(Enum):
    ACCEPT = "accept"

    def __repr__(self) -> str:
        return "ACCEPT"


ACCEPT: Final = _Accept.ACCEPT
"""What three empty lists mean: keep the answer of the round before."""

Accept = Literal[_Accept.ACCEPT]

LISTS: Final = ("model_id", "subtasks", "access_list")

_ALSO: Final = {
    "model_id": {"modelid", "modelids"},
    "subtasks": {"subtask", "subtasks"},
    "access_list": {"access", "accesslist", "accesslists"},
}
# Around a label: quotes, markdown, and TeX as in `\text{model\_id} = [0]`.
_WORD = (
    r"(?<!\w)(model\\{0,2}[_ -]?ids?|sub[_-]?tasks?|access(?:\\{0,2}[_ -]?lists?)?|steps)"
    r"[\"'`*}$」』]{0,4}\s{0,8}"
)
# `=` or `:`, or an annotation as in `model_id: list[int] = [0]`
_SIGN = r"(?::\s{0,4}[\w.]{1,30}(?:\[[\w\[\], .|\"']{0,60}\])?\s{0,4}=|&?[:=：\uff1d]{1,2})"
_COMMENT = r"(?:(?://[^\n]{0,80}\n|/\*[^*]{0,80}\*/)\s{0,16})?"
_LABEL = re.compile(
    rf"{_WORD}{_SIGN}\s{{0,8}}[`*]{{0,4}}\s{{0,8}}{_COMMENT}(?=[\[(\uff3b\uff08【])", re.IGNORECASE
)
# Behind a list that a stray bracket has closed too early: the next step, or the rest of the list.
_NEXT_STEP = re.compile(r"[\s,)\]}]{0,20}\{\s{0,20}[\"']?(?:worker|subtask|access)\b")
_GOES_ON = re.compile(r"\s{0,20}[,\uff0c]|[^\W_]|[\"']")
_STEPS = re.compile(r"\[\s{0,20}\{\s{0,20}[\"']?(?:worker|subtask|access)[\"']?\s{0,4}:")
_ONE_STEP = re.compile(r"\{\s{0,20}[\"']?worker[\"']?\s{0,4}:")
_NUMBERED = re.compile(
    r"(?:(?:model|worker|agent|llm)[ _#-]{0,2})?(\d{1,9})(?: ?[:(-] ?(\w[\w -]{0,80})\)?)?", re.IGNORECASE
)
_POSITIONS = re.compile(r"\[ ?(?:\d{1,9}(?: ?, ?\d{1,9}){0,99})? ?\]")
_NONE: Final = ("", "none", "null")
_KEYS: Final = {"model_id": "worker", "subtasks": "subtask", "access_list": "access"}
_REST: Final = 2000
_MOST_MENDS: Final = 20
"""Broken lists that are looked at closely; a plan has three lists."""
_BARE_LABEL = re.compile(_WORD, re.IGNORECASE)


def parse_workflow(
    text: str | bytes,
    workers: Any | None,
    *,
    max_steps: int = 5,
    allow_accept: bool = False,
) -> Workflow | Accept:
    r"""Read the workflow a planner wrote.

    Args:
        text: The planner's reply: reasoning, then `model_id`, `subtasks` and `access_list`; or a JSON
            object with those three lists or with `steps`. The first complete set from a `model_id` on
            counts. TeX commands such as `\frac` need no second backslash, in lists and in JSON.
        workers: The offered workers: a `WorkerPool`, their names in order, or a mapping from ordinal
            to name. Text may name a worker by ordinal or by name. `None`, for drawing: every id is taken
            as it is written.
        max_steps: Most steps allowed.
        allow_accept: Whether three empty lists are allowed; they mean `ACCEPT`.

    Returns:
        The workflow, or `ACCEPT`.

    Raises:
        PlanError: With the reason, the step at fault and the text. Nothing else is raised, whatever
            the text.
    """
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    try:
        fields = _fields_of(drop_thinking(text, strict=True))
        if not any(fields.values()):
            if allow_accept:
                return ACCEPT
            raise PlanError("the lists are empty, but there is no earlier answer to accept; plan a step")
        rows = _rows(fields)
        if len(rows) > max_steps:
            raise PlanError(f"{len(rows)} steps are too many; use at most {max_steps}")
        offered = None if workers is None else ordinals_of(workers)
        return Workflow(tuple(_step(i, *row, offered) for i, row in enumerate(rows)))
    except PlanError as error:
        raise PlanError(error.reason, step=error.step, text=text) from None


def workflow_schema(
    ids: Iterable[str | int], max_steps: int, *, allow_accept: bool = False, max_chars: int | None = None
) -> dict[str, Any]:
    """The JSON schema of a workflow, for structured decoding. Lengths agree by construction.

    Args:
        ids: How the planner may name the workers: ordinals or names.
        max_steps: Most steps.
        allow_accept: Whether an empty list of steps is allowed.
        max_chars: Longest string, and a bound for every array. Servers that decode by grammar without
            knowing when to stop need it; some hosted models refuse such bounds, so it is off by default.
    """
    ids = list(ids)
    bounded = max_chars is not None
    string: dict[str, Any] = {"type": "string", **({"maxLength": max_chars} if bounded else {})}
    positions = list(range(max(1, max_steps - 1)))
    step = {
        "worker": {"type": "string" if isinstance(ids[0], str) else "integer", "enum": ids},
        "subtask": string,
        "access": {
            "anyOf": [
                {"type": "string", "enum": [ALL]},
                {
                    "type": "array",
                    "items": {"type": "integer", "enum": positions},
                    **({"maxItems": len(positions)} if bounded else {}),
                },
            ]
        },
    }
    steps = {
        "type": "array",
        "items": _closed(step),
        **({"maxItems": max_steps, "minItems": 0 if allow_accept else 1} if bounded else {}),
    }
    return {
        "title": "workflow",
        "description": "The steps that answer the question, the last one giving the answer.",
        **_closed({"reasoning": string, "steps": steps}),
    }


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _fields_of(text: str) -> dict[str, Any]:
    """`_fields`, also of what a text may be mended to."""
    try:
        return _fields(text)
    except PlanError as error:
        for other in in_other_words(text):
            with suppress(PlanError):
                return _fields(other)
        raise error from None


def _fields(text: str) -> dict[str, Any]:
    """The named lists of a plan: the three, or `steps`."""
    whole = _whole_json(text)
    if whole is not None:
        return whole
    try:
        return _lists(text)
    except PlanError:
        # A string that never ends may also have ended within the next list, and so hidden it.
        if has_texts(text) and sum(1 for _ in islice(_LABEL.finditer(text), _MOST_MENDS)) < _MOST_MENDS:
            with suppress(PlanError):
                return _lists(text, hidden=True)
        if (steps := _bare_steps(text)) is not None:
            return {"steps": steps}
        raise


def _lists(text: str, *, hidden: bool = False) -> dict[str, Any]:
    """The named lists of a plan in text.

    Args:
        text: The plan.
        hidden: Whether subtasks end before the next label, if they can be mended so.
    """
    reader = LiteralReader(text)
    mends = 0
    ordered: dict[str, Any] = {}  # from a `model_id` on, as the paper writes them
    latest: dict[str, Any] = {}  # the newest of each, whatever their order
    broken: dict[str, str] = {}
    read_to = 0
    for match, next_one in pairwise(chain(_LABEL.finditer(text), (None,))):
        if match is None:
            break
        following = len(text) if next_one is None else next_one.start()
        if match.start() < read_to:
            continue  # inside a list that is read already, such as a subtask that shows a label
        if reader.exhausted:
            break
        if text[match.end()] in "(\uff08" and not re.search("[=\uff1d]", match[0]):
            continue  # `access: (see below)` is prose, `access = ([],)` is not
        label = _label(match[1])
        if label == LISTS[0]:
            ordered = {}  # a new plan begins, even if its first list turns out to be broken
        try:
            value, read_to = reader.read(match.end())
        except LiteralError as error:
            mends += 1
            found, fault = None, error
            if label in LISTS:
                near = text[match.end() : following] if mends <= _MOST_MENDS else ""
                found, why_not = mended(near, texts=label == "subtasks", error=error)
                fault = why_not or error
            if found is None:
                broken.setdefault(label, str(fault))
                latest.pop(label, None)
                continue
            value, read_to = found, following
        if hidden and label == "subtasks" and read_to > following:
            mends += 1
            found = mended(text[match.end() : following], texts=True)[0] if mends <= _MOST_MENDS else None
            value, read_to = (value, read_to) if found is None else (found, following)
        if why := _cut(text, label, read_to, following):
            broken.setdefault(label, why)
            latest.pop(label, None)
            continue
        if label != "steps":
            latest[label] = value
            if ordered or label == LISTS[0]:
                ordered[label] = value
            if len(ordered) == len(LISTS):
                return ordered
        elif _are_steps(value):
            return {label: _as_json(text[match.end() : read_to], value)}
        elif not value:
            latest.setdefault(label, value)
    if all(label in latest for label in LISTS):
        return {label: latest[label] for label in LISTS}
    if latest.keys() == {"steps"}:
        return latest
    raise PlanError(_missing(text, latest, broken))


def _cut(text: str, label: str, end: int, following: int) -> str:
    """What is wrong if a stray bracket ended a list too early: what is behind it would be dropped."""
    why = f"a stray `{text[end - 1 : end]}` closes it before `{{}}`; the list must go on to its own last bracket, and quotes inside a string need a backslash"  # noqa: E501
    if label == "steps":
        cut = _NEXT_STEP.match(text, end)
        return why.format(" ".join(text[end : cut.end() + 20].split())) if cut else ""
    rest = text[end : min(max(following, end), end + _REST)].partition("\n\n")[0]
    if not _GOES_ON.match(rest):
        return ""
    depth = 0
    for sign in re.finditer(r"\\.|[\[\]{}]", rest):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(sign[0], 0)
        if depth < 0:
            return why.format(" ".join(rest[:30].split())) if sign[0] == "]" else ""
    return ""


def _bare_steps(text: str) -> list[Any] | None:
    """A list of steps without a name, or under another one."""
    if (match := _STEPS.search(text)) is None:
        return None
    with suppress(LiteralError):
        value, end = LiteralReader(text).read(match.start())
        if _are_steps(value) and not _NEXT_STEP.match(text, end):
            found: list[Any] = _as_json(text[match.start() : end], value)
            return found
    return None


def _missing(text: str, found: Mapping[str, Any], broken: Mapping[str, str]) -> str:
    missing = [label for label in LISTS if label not in found]
    for label in (*missing, "steps"):
        if label in broken:
            return f"the list `{label}` cannot be read: {broken[label]}"
    named = {_label(match[1]): match.end() for match in _BARE_LABEL.finditer(text)}
    if _ONE_STEP.search(text):
        return 'steps must stand in one list: {"steps": [{"worker": ..., "subtask": ..., "access": ...}]}'
    if len(missing) == len(LISTS) and not set(named).issuperset(LISTS):
        return "no workflow found; end with the lists model_id, subtasks and access_list"
    if missing[0] in named:
        behind = text[named[missing[0]] :][:20].split("\n")[0].strip()
        instead = f", not by `{behind}`" if behind else ""
        return f"`{missing[0]}` must be followed by `=` and a list in square brackets, one entry per step{instead}"
    return f"the list `{missing[0]}` is missing; give model_id, subtasks and access_list"


def _as_json(text: str, value: Any) -> Any:
    """What JSON itself makes of `text`, so that steps read the same with and without words around them."""
    try:
        return json_of_plan(text)
    except (ValueError, RecursionError):
        return value


def _are_steps(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _whole_json(text: str) -> dict[str, Any] | None:
    text = text.strip()
    if text.startswith("```") and text.endswith("```"):
        text = text[3:-3].removeprefix("json").strip()
    if not text.startswith("{"):
        return None
    try:
        data = json_of_plan(text)
    except (ValueError, RecursionError):
        return None
    fields: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, list):
            fields.setdefault(_label(key), value)
    if all(name in fields for name in LISTS) and not _are_steps(fields.get("steps")):
        return {name: fields[name] for name in LISTS}
    return {"steps": fields["steps"]} if "steps" in fields else None


def _label(text: str) -> str:
    """The canonical name of a list; a word that is none stays as it is."""
    word = re.sub(r"[\\_ -]", "", text.lower())
    for name, others in _ALSO.items():
        if word in others:
            return name
    return text.lower()


def _rows(fields: dict[str, Any]) -> list[tuple[Any, Any, Any]]:
    """(worker, subtask, access) per step, as written."""
    if "steps" in fields:
        return [_row(i, item) for i, item in enumerate(fields["steps"])]
    lengths = [len(fields[label]) for label in LISTS]
    if len(set(lengths)) > 1:
        sizes = ", ".join(f"{label} has {n}" for label, n in zip(LISTS, lengths, strict=True))
        raise PlanError(f"the three lists must be of equal length, but {sizes}")
    return list(zip(*(fields[label] for label in LISTS), strict=True))


def _row(index: int, item: Any) -> tuple[Any, Any, Any]:
    """One step; its keys may be written as the lists are named.

    Raises:
        PlanError: Naming the key that is missing, or too many.
    """
    form = 'each step is {"worker": ..., "subtask": ..., "access": ...}'
    if not isinstance(item, dict):
        raise PlanError(f"{form}, not {brief(item)}", step=index)
    named: dict[str, Any] = {}
    for key, value in item.items():
        name = _KEYS.get(_label(str(key)), str(key).lower())
        if name in named or name not in _KEYS.values():
            twice = " twice" if name in named else ""
            raise PlanError(f"the key {brief(key)} does not belong there{twice}; {form}", step=index)
        named[name] = value
    if missing := [key for key in _KEYS.values() if key not in named]:
        raise PlanError(f"the key {missing[0]!r} is missing; {form}", step=index)
    return named["worker"], named["subtask"], named["access"]


def _step(index: int, worker: Any, subtask: Any, access: Any, offered: Mapping[int, str] | None) -> Step:
    try:
        return Step(_worker_name(worker, offered), _quoted(subtask), _positions(access, index))
    except PlanError as error:
        raise PlanError(error.reason, step=index) from None


def _worker_name(worker: Any, offered: Mapping[int, str] | None) -> str:
    if offered is None:
        if type(worker) is not int and not isinstance(worker, str):
            raise PlanError(f"a worker is named by ordinal or name, not {brief(worker)}")
        return storable(str(worker))
    if isinstance(worker, str):
        worker = worker.strip()
        if worker in offered.values():
            return str(worker)
        worker = _offered_id(worker, offered)
    if type(worker) is int and worker in offered:
        return offered[worker]
    choice = ", ".join(str(n) if name == str(n) else f"{n} ({name})" for n, name in offered.items())
    raise PlanError(f"there is no worker {brief(worker)}; choose from {choice}")


def _offered_id(word: str, offered: Mapping[int, str]) -> str | int:
    """What an id stands for that is written in other letters, or as `Model 0` or `0 (coder)`; else as it is."""
    numbers = {name: number for number, name in offered.items()}
    alike = [name for name in numbers if _squeezed(name) == _squeezed(word)]
    if alike:
        return numbers[alike[0]] if len(alike) == 1 else word
    if match := _NUMBERED.fullmatch(word):
        number = int(match[1])
        if match[2] is None or _squeezed(offered.get(number, "")) == _squeezed(match[2]):
            return number
    return _number_if(word)


def _squeezed(name: str) -> str:
    return re.sub(r"[\s_-]", "", name[:200]).casefold()


def _quoted(subtask: Any) -> str:
    """A quoted string as text that can be stored.

    Raises:
        PlanError: If it is anything else.
    """
    if type(subtask) is not str:
        raise PlanError(f"the subtask must be a quoted string, not {brief(subtask)}")
    return storable(subtask)


def _positions(access: Any, index: int) -> Any:
    """Digit strings become numbers, one position a list of it, null none; the rest is checked by `Step`."""
    if isinstance(access, str):
        word = str(access).strip().lower()
        access = json.loads(word) if _POSITIONS.fullmatch(word) else _number_if(word)
    if access is None or access in _NONE or access == [None]:
        return []
    if type(access) is int:
        if not 0 <= access < index:
            raise PlanError(
                f"access is a list of positions of earlier steps; there is no step {brief(access)} before this one"
            )
        return [access]
    if not isinstance(access, list):
        return access
    if len(access) == 1 and isinstance(access[0], str) and access[0].strip().lower() in _NONE:
        return []
    return [_number_if(item.strip().lower()) if isinstance(item, str) else item for item in access]


def _number_if(word: str) -> str | int:
    """The number a digit string stands for; any other word as it is."""
    return int(word) if word.isascii() and word.isdigit() and len(word) < 20 else word

"""What of a run a foreign text could have changed, put so that it can be compared with that of a harmless text.

Nothing here uses the escapes that are tested: tags, controls and markup are looked for in another way.
"""

import html
import json
import logging
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html.parser import HTMLParser
from io import StringIO
from typing import Any, Final

from langchain_core.messages import BaseMessage

from langgraph_conductor.display import describe, run_page
from langgraph_conductor.display.progress import Progress, line
from langgraph_conductor.foreign_text import json_of, normalized
from langgraph_conductor.special_tokens import without_special_tokens
from langgraph_conductor.tags import ALL_TAGS
from langgraph_conductor.usage import Usage
from langgraph_conductor.workflow import Workflow

Trace = Mapping[str, Any]
"""Surface -> what was seen there."""

TEXTS: Final = ("texts", "answer", "outputs")
"""Surfaces where the hostile text itself may stand, and nothing else may differ."""

_SEEN_JOINERS: Final = "\u200c\u200d"
_SPECIAL: Final = re.compile(
    r"<[|\uff5c][\w ]{1,40}[|\uff5c]>|\[/?(?:INST|SYSTEM_PROMPT|TOOL_CALLS)\]|</?(?:s|think|tool_call)>|<</?SYS>>"
    r"|<(?:start|end)_of_turn>"
)
_BOX: Final = re.compile(r'    s\d+\["([^"]*)"\]')
_ARROW: Final = re.compile(r"    s\d+ --> s\d+")


def trace(
    result: Mapping[str, Any],
    events: Iterable[Any],
    planner: Sequence[Sequence[BaseMessage]],
    workers: Sequence[Sequence[BaseMessage]],
    logged: Sequence[str],
    tags: tuple[str, ...] = (),
    later: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """What a run shows at each surface; of `TEXTS` the texts themselves.

    Args:
        result: What the conductor returned.
        events: What it told while it ran.
        planner: The prompts of its planner.
        workers: The prompts of its workers.
        logged: What was logged, each record as one text.
        tags: Tags of prompts beside the package's own.
        later: What the conductor returned in later turns.
    """
    rounds = result["rounds"]
    results = (result, *later)
    workflows = [Workflow.from_json(one["workflow"]) for one in rounds if one["workflow"]]
    return {
        "plan": [
            [
                (one["accepted"], one["plan"]["reached"]),
                *((step["worker"], step["status"]) for step in one["steps"]),
            ]
            for one in rounds
        ],
        "access": [[step["granted"] for step in one["steps"]] for one in rounds],
        "accounting": {who: _counts(result["usage"][who]) for who in ("planner", "workers", "total")},
        "prompts": [_structure(prompt, tags) for prompt in (*planner, *workers)],
        "texts": [str(message.text) for prompt in (*planner, *workers) for message in prompt],
        "answer": [_answer(one) for one in results],
        "outputs": [
            str(step["text"])
            for one in results
            for said in one.get("rounds") or ()
            for step in said["steps"]
        ],
        "templates": [_rendered(prompt) for prompt in (*planner, *workers)],
        "terminal": _terminal(result, events),
        "log": [(text.count("\n"), _commands(text)) for text in logged],
        "page": _page(run_page(result)),
        "chart": [_chart(workflow) for workflow in workflows],
    }


def shown(
    results: Sequence[Mapping[str, Any]],
    events: Sequence[Any],
    prompts: Iterable[Sequence[BaseMessage]],
    logged: Sequence[str],
) -> dict[str, list[str]]:
    """Everything that was said or shown, by place.

    Args:
        results: What the conductor returned, turn by turn.
        events: What it told while it ran.
        prompts: What its models were sent.
        logged: What was logged.
    """
    return {
        "answer": list(map(_answer, results)),
        "events": list(map(repr, events)),
        "log": list(logged),
        "page": [run_page(result) for result in results],
        "prompts": [repr(message) for prompt in prompts for message in prompt],
        "records": [repr(result.get("rounds")) for result in results],
        "terminal": [text for result in results for text in _drawn(result, events)],
    }


def _answer(result: Mapping[str, Any]) -> str:
    return str(result.get("answer"))


def _counts(usage: Any) -> Any:
    counted = Usage.from_json(usage)
    return counted.calls, counted.unpriced_calls, str(counted.usd)


def _commands(text: str, but: str = "\n\t") -> list[str]:
    """Signs that command a terminal, turn the direction of text, break its lines, or are not seen."""
    return [
        f"U+{ord(sign):04X}"
        for sign in sorted(set(text))
        if sign not in but + _SEEN_JOINERS and unicodedata.category(sign) in ("Cc", "Cf", "Zl", "Zp")
    ]


def _plainly(text: str) -> str:
    """As a model might read it: entities resolved, signs that are not seen left out, styled letters made plain."""
    if text.isascii() and "&" not in text:
        return text.lower()
    text = normalized("NFKD", html.unescape(text))
    unseen = ("Cc", "Cf", "Mn")
    return "".join(s for s in text if s.isspace() or unicodedata.category(s) not in unseen).lower()


def _structure(prompt: Sequence[BaseMessage], more: tuple[str, ...]) -> list[Any]:
    """Who speaks, and the tags of each message."""
    return [(message.type, _tags(_plainly(str(message.text)), (*ALL_TAGS, *more))) for message in prompt]


def _tags(text: str, names: tuple[str, ...]) -> list[str]:
    found = []
    for part in text.split("<")[1:]:
        name = part.lstrip(" /\n\t\r\u2044\u2215")
        if tag := next((one for one in names if name.startswith(one)), ""):
            closes = part[: len(part) - len(name)].strip() != ""
            found.append(f"/{tag}" if closes else tag)
    return found


def _rendered(prompt: Sequence[BaseMessage]) -> int:
    """Special tokens that a template rendered by this package would hold beside its own."""
    return sum(len(_SPECIAL.findall(without_special_tokens(str(message.text)))) for message in prompt)


def _terminal(result: Mapping[str, Any], events: Iterable[Any]) -> list[Any]:
    *lines, drawn, told, as_json = _drawn(result, events)
    same = json.loads(as_json)["answer"] == result["answer"]
    return [
        [one.count("\n") for one in lines],
        *map(_commands, ("\n".join(lines), drawn, told, as_json)),
        len(told.splitlines()),
        same,
    ]


def _drawn(result: Mapping[str, Any], events: Iterable[Any]) -> list[str]:
    """What a terminal shows: a line for each event, the tree of the run, its description, its JSON."""
    from rich.console import Console

    from langgraph_conductor.display.live import tree

    progress, lines = Progress(began=0.0), []
    for event in events:
        progress = progress.after(event, 0.0)
        lines.append(line(event))
    drawn = StringIO()
    Console(file=drawn, width=100, color_system=None).print(tree(progress, 0.0, over=True))
    as_json = json_of({key: result[key] for key in ("answer", "rounds", "usage")}, indent=2)
    return [*lines, drawn.getvalue(), describe(result), as_json]


class _Elements(HTMLParser):
    """The elements of a page, and the names of their attributes; of drawings, which tell of times, only kinds."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.drawn: set[str] = set()
        self.data: list[str] = []
        self.depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = " ".join([tag, *(name for name, _ in attrs)])
        self.depth += tag == "svg"
        if self.depth:
            self.drawn.add(
                " ".join([tag, *(name for name, _ in attrs if name.startswith(("on", "href", "src")))])
            )
        else:
            self.found.append(element)

    def handle_endtag(self, tag: str) -> None:
        if not self.depth:
            self.found.append(f"/{tag}")
        self.depth -= tag == "svg"

    def handle_comment(self, data: str) -> None:
        self.found.append("comment")

    def handle_data(self, data: str) -> None:
        self.data.append(data)


def _page(page: str) -> list[Any]:
    read = _Elements()
    read.feed(page)
    read.close()
    return [read.found, sorted(read.drawn), _commands("".join(read.data))]


def _chart(workflow: Workflow) -> list[Any]:
    """The kinds of lines of a Mermaid chart; and whether its labels say what the workflow says."""
    kinds, labels = [], []
    for drawn in workflow.to_mermaid().split("\n"):
        box = _BOX.fullmatch(drawn)
        if box:
            labels.append(box[1])
        kinds.append("box" if box else "arrow" if _ARROW.fullmatch(drawn) else drawn)
    return [kinds, [_label(*pair) for pair in zip(labels, workflow.steps, strict=False)]]


def _label(label: str, step: Any) -> tuple[bool, list[str], list[str]]:
    spoken = re.sub(r"#(?:amp|quot|lt|gt|\d{1,7});", "", label)
    raw = [sign for sign in '%#"<>;{}`\\&\ufb02\u00b6' if sign in spoken]
    shown = html.unescape(re.sub(r"#(\w+);", lambda m: f"&{'#' * m[1].isdigit()}{m[1]};", label))
    subtask = " ".join(step.subtask.split())[:60]
    plain = "".join("\ufffd" if _commands(sign, "") else sign for sign in subtask)
    return f"{step.worker}: {plain}" in shown, raw, _commands(label)


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


@contextmanager
def logged() -> Iterator[list[str]]:
    """What anyone logs meanwhile at the levels that are set, as a host's own handler has it."""
    handler, root = _Kept(), logging.getLogger()
    known = [one for one in root.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    ends = [root, *(one for one in known if not one.propagate)]
    for logger in ends:
        logger.addHandler(handler)
    try:
        yield handler.texts
    finally:
        for logger in ends:
            logger.removeHandler(handler)

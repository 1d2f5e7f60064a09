"""What of a run a foreign text could have changed, put so that it can be compared with that of a harmless text.

Nothing here uses the escapes that are tested: tags, controls and markup are looked for in another way.
"""

import html
import json
import logging
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any, Final

from langchain_core.messages import BaseMessage

from langgraph_conductor.foreign_text import normalized
from langgraph_conductor.special_tokens import without_special_tokens
from langgraph_conductor.tags import ALL_TAGS
from langgraph_conductor.testing.attack_drawings import Drawings
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


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of a conversation.

    Args:
        result: What the conductor returned.
        events: What it told meanwhile.
        drawn: What that looks like.
    """

    result: Mapping[str, Any]
    events: Sequence[Any]
    drawn: Drawings


@dataclass(frozen=True, slots=True)
class Seen:
    """All that was seen of a conversation.

    Args:
        turns: Its turns, of which the first is looked at closely.
        planner: The prompts of the planner.
        workers: The prompts of the workers.
        logged: What was logged, each record as one text.
    """

    turns: Sequence[Turn]
    planner: Sequence[Sequence[BaseMessage]]
    workers: Sequence[Sequence[BaseMessage]]
    logged: Sequence[str]

    @property
    def prompts(self) -> list[Sequence[BaseMessage]]:
        """What models were sent."""
        return [*self.planner, *self.workers]


def trace(seen: Seen, tags: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a run shows at each surface; of `TEXTS` the texts themselves.

    Args:
        seen: What was seen of it.
        tags: Tags of prompts beside the package's own.
    """
    result = seen.turns[0].result
    rounds = result["rounds"]
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
        "prompts": [_structure(prompt, tags) for prompt in seen.prompts],
        "texts": [str(message.text) for prompt in seen.prompts for message in prompt],
        "answer": [_answer(turn.result) for turn in seen.turns],
        "outputs": [
            str(step["text"])
            for turn in seen.turns
            for said in turn.result.get("rounds") or ()
            for step in said["steps"]
        ],
        "templates": [_rendered(prompt) for prompt in seen.prompts],
        "terminal": [_terminal(turn) for turn in seen.turns],
        "log": [(text.count("\n"), _commands(text)) for text in seen.logged],
        "page": [_page(turn.drawn.page) for turn in seen.turns],
        "chart": [_charts(turn) for turn in seen.turns],
        "printed": [list(map(_commands, turn.drawn.printed)) for turn in seen.turns],
    }


def shown(seen: Seen) -> dict[str, list[str]]:
    """Everything that was said or shown, by place."""
    turns = seen.turns
    return {
        "answer": [_answer(turn.result) for turn in turns],
        "events": [repr(event) for turn in turns for event in turn.events],
        "log": list(seen.logged),
        "page": [turn.drawn.page for turn in turns],
        "printed": [text for turn in turns for text in turn.drawn.printed],
        "prompts": [repr(message) for prompt in seen.prompts for message in prompt],
        "records": [repr(turn.result.get("rounds")) for turn in turns],
        "terminal": [text for turn in turns for text in turn.drawn.terminal],
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


def _terminal(turn: Turn) -> list[Any]:
    drawn = turn.drawn
    same = json.loads(drawn.as_json)["answer"] == turn.result["answer"]
    return [
        drawn.lines.count("\n"),
        *map(_commands, (drawn.lines, drawn.trees, drawn.told, drawn.as_json)),
        len(drawn.told.splitlines()),
        same,
    ]


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


def _charts(turn: Turn) -> list[Any]:
    workflows = [Workflow.from_json(one["workflow"]) for one in turn.result["rounds"] if one["workflow"]]
    return [_chart(*pair) for pair in zip(turn.drawn.charts, workflows, strict=True)]


def _chart(chart: str, workflow: Workflow) -> list[Any]:
    """The kinds of lines of a Mermaid chart; and whether its labels say what the workflow says."""
    kinds, labels = [], []
    for drawn in chart.split("\n"):
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

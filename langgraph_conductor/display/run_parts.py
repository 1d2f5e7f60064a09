"""What planning and steps have in common on the page of a run: texts under their names, and calls."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeVar

from langgraph_conductor.display.markup import cut, in_html, table
from langgraph_conductor.display.waterfall import seconds
from langgraph_conductor.display.words import counted, money, short, tokens, why
from langgraph_conductor.records import CallRecord, PlanRecord, StepRecord, ToolRecord
from langgraph_conductor.usage import Usage

STYLE: Final = """
.tool-call { border-top: 1px solid var(--line); padding: .1em 0 .4em; }
.tool-call:first-of-type { border-top: 0; }
.bad-word { color: var(--bad); font-weight: 600; }
"""

MOST_TEXT: Final = 20_000
"""Characters of one text that the page shows."""

MOST_CALLS: Final = 50
"""Model calls, and tool calls, of one step that the page lists."""

_WHY: Final = 2_000
_NAMES: Final = 100
_REPEATED: Final = (
    "maybe: the process ended while this ran, and a call under way may have been made, and paid, once more"
)

_T = TypeVar("_T")


def described(terms: Mapping[str, str]) -> str:
    """Texts under their names, as HTML; empty ones are left out."""
    shown = "".join(
        f"<dt>{in_html(name)}</dt><dd>{in_html(cut(text, MOST_TEXT))}</dd>"
        for name, text in terms.items()
        if text
    )
    return f"<dl>{shown}</dl>" if shown else ""


def warned(part: PlanRecord | StepRecord, who: str = "") -> dict[str, str]:
    """What went wrong with planning or a step, in words under their names.

    Args:
        part: Its record.
        who: Who failed, where another one answered.
    """
    refusal = part.get("refusal")
    return {
        f"{who} failed".strip(): why(part["error"], _WHY) if part["error"] else "",
        "repeated": _REPEATED if part.get("possibly_repeated") else "",
        "ended by": why(refusal, _WHY) if refusal else "",
    }


def calls(part: PlanRecord | StepRecord) -> str:
    """The calls of models and tools of planning or a step, as HTML."""
    return _tools(part.get("tool_calls", ())) + _models(part["model_calls"])


def ends(items: Sequence[_T], most: int) -> tuple[Sequence[_T], int]:
    """The first items and the last one, `most` in all, and how many are left out."""
    if len(items) <= most:
        return items, 0
    return [*items[: most - 1], items[-1]], len(items) - most


def _tools(called: Sequence[ToolRecord]) -> str:
    if not called:
        return ""
    listed, left_out = ends(sorted(called, key=lambda tool: tool["started_at"]), MOST_CALLS)
    names = short(", ".join(dict.fromkeys(tool["tool"] for tool in called)), _NAMES)
    failed = sum(bool(tool["error"]) for tool in called)
    bad = f' <span class="bad-word">{failed:,} failed</span>' if failed else ""
    told = "".join(map(_tool, listed))
    title = f"{counted(len(called), 'tool call')}: {in_html(names)}{bad}"
    return f'<details class="tools"><summary>{title}</summary>{told}{_more(left_out)}</details>'


def _tool(tool: ToolRecord) -> str:
    terms = {"tool": tool["tool"], "given": tool["input"], "gave": tool["output"], "failed": tool["error"]}
    return f'<div class="tool-call">{described({**terms, "took": seconds(tool["seconds"])})}</div>'


def _models(called: Sequence[CallRecord]) -> str:
    if not called:
        return ""
    listed, left_out = ends(called, MOST_CALLS)
    rows = table(("model", "asked by", "tokens", "money", "time"), map(_model, listed))
    title = counted(len(called), "model call")
    return f"<details><summary>{title}</summary>{rows}{_more(left_out)}</details>"


def _model(call: CallRecord) -> Iterator[str]:
    used = Usage.from_json(call["usage"])
    yield from (call["model"], call["worker"] or "planner", tokens(used), money(used) or "price unknown")
    yield seconds(call["seconds"])


def _more(left_out: int) -> str:
    return (
        f"<p>{left_out:,} calls between the first ones and the last are left out.</p>" if left_out else ""
    )

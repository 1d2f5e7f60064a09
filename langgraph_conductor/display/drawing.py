"""A workflow drawn as SVG: a box per step, a row per superstep, an arrow per granted output."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from langgraph_conductor.display.markup import in_html
from langgraph_conductor.records import RoundRecord
from langgraph_conductor.workflow import Step, Workflow

_WIDE, _HIGH, _GAP, _DOWN, _EDGE = 150, 40, 24, 34, 6
_ASIDE: Final = 70
_NAME: Final = 18


def workflow_svg(record: RoundRecord, target: Callable[[int], str] | None = None) -> str:
    """The drawn workflow of a round; empty if it has none.

    Args:
        record: The round. Steps that failed, or that have no record, are marked.
        target: Gives the id of the element that tells more of a step, which its box then links to.
    """
    if not record["workflow"]:
        return ""
    ran = {step["index"]: step["status"] for step in record["steps"]}
    marks = {
        i: "" if ran.get(i) == "ok" else ran.get(i, "not run")
        for i in range(len(record["workflow"]["steps"]))
    }
    return drawn(Workflow.from_json(record["workflow"]), marks, target and {i: target(i) for i in ran})


def drawn(
    workflow: Workflow, marks: Mapping[int, str] | None = None, targets: Mapping[int, str] | None = None
) -> str:
    """A drawn workflow.

    Args:
        workflow: The workflow.
        marks: What is wrong with a step, in a word.
        targets: The id of the element that a step's box links to.
    """
    levels = workflow.levels()
    widest = max(map(len, levels))
    # Arrows that bend out need room at the sides.
    across = widest * (_WIDE + _GAP) - _GAP + 2 * (_EDGE if len(levels) < 3 else _ASIDE)
    down = len(levels) * (_HIGH + _DOWN) - _DOWN + 2 * _EDGE
    places = {
        step: (
            across / 2 + (column - len(level) / 2) * (_WIDE + _GAP) + _GAP / 2,
            _EDGE + row * (_HIGH + _DOWN),
        )
        for row, level in enumerate(levels)
        for column, step in enumerate(level)
    }
    edges = "".join(
        _arrow(places[j], places[i], far=_row(levels, i) - _row(levels, j) > 1)
        for i in range(len(workflow.steps))
        for j in workflow.reads(i)
    )
    boxes = "".join(
        _linked(_box(i, step, places[i], (marks or {}).get(i, "")), (targets or {}).get(i))
        for i, step in enumerate(workflow.steps)
    )
    size = f'width="{across}" height="{down}" viewBox="0 0 {across} {down}"'
    return f'<svg class="flow" {size} role="img" aria-label="workflow">{edges}{boxes}</svg>'


def _linked(box: str, target: str | None) -> str:
    return f'<a href="#{in_html(target)}">{box}</a>' if target else box


def _row(levels: tuple[tuple[int, ...], ...], step: int) -> int:
    return next(row for row, level in enumerate(levels) if step in level)


def _arrow(start: tuple[float, float], end: tuple[float, float], *, far: bool) -> str:
    (x1, y1), (x2, y2) = (start[0] + _WIDE / 2, start[1] + _HIGH), (end[0] + _WIDE / 2, end[1])
    # An arrow past other rows bends out to its own side, so that it does not run behind their boxes.
    aside = (_WIDE / 2 + 45 if x1 >= x2 else -_WIDE / 2 - 45) if far else 0
    curve = (
        f"M{x1:g} {y1:g} C{x1 + aside:g} {y1 + _DOWN / 2:g} {x2 + aside:g} {y2 - _DOWN / 2:g} {x2:g} {y2:g}"
    )
    head = f"M{x2 - 4:g} {y2 - 6:g} L{x2:g} {y2:g} L{x2 + 4:g} {y2 - 6:g}"
    return f'<path d="{curve}"/><path d="{head}"/>'


def _box(index: int, step: Step, place: tuple[float, float], mark: str) -> str:
    x, y = place
    name = step.worker if len(step.worker) <= _NAME else step.worker[: _NAME - 1] + "…"
    chosen = ", ".join(f"{round_}.{earlier}" for round_, earlier in step.earlier)
    under = f"step {index}" + (f" · {mark}" if mark else "") + (f" · reads {chosen}" if chosen else "")
    return "".join(_parts(in_html(name), in_html(under), x, y, "box bad" if mark else "box"))


def _parts(name: str, under: str, x: float, y: float, kind: str) -> Iterator[str]:
    yield f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{_WIDE}" height="{_HIGH}" rx="6"/>'
    # A frame of its own cuts off what is too long for the box.
    yield f'<svg x="{x:g}" y="{y:g}" width="{_WIDE}" height="{_HIGH}">'
    yield f'<text x="{_WIDE / 2:g}" y="17">{name}</text>'
    yield f'<text class="small" x="{_WIDE / 2:g}" y="32">{under}</text></svg>'

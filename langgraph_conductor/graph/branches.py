"""Which steps of a workflow run side by side as branches, so that none waits for a stranger.

LangGraph runs level by level: a step waits for the whole superstep before it, also for steps that it does not
read. A part of a workflow that shares nothing with what runs beside it is therefore compiled to a graph of its
own, a branch, with supersteps of its own.

The workflow is cut into blocks of which each needs all of the one before, and a block into parts that do not
read each other; parts of several steps are branches and are cut in the same way. The rest is left to supersteps.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

Unit = tuple[int, ...]
"""A step alone, or the steps of a branch, ascending."""


def units(steps: Iterable[int], reads: Mapping[int, Collection[int]]) -> list[Unit]:
    """The nodes of the graph that runs `steps`: each a step alone, or a branch of several.

    Args:
        steps: Positions of steps.
        reads: For each of them the steps it reads; others than `steps` are passed over.

    Returns:
        Each of `steps` once, by first position.
    """
    own = sorted(steps)
    before = _before(own, reads)
    found: list[Unit] = []
    for block in _blocks(own, before):
        parts = _parts(block, before)
        found += parts if len(parts) > 1 else [(step,) for step in block]
    return sorted(found)


def _before(steps: Sequence[int], reads: Mapping[int, Collection[int]]) -> dict[int, set[int]]:
    """All that has to be over before each step."""
    before: dict[int, set[int]] = {}
    for step in steps:
        direct = [other for other in reads[step] if other in before]
        before[step] = set(direct).union(*(before[other] for other in direct))
    return before


def _blocks(steps: Sequence[int], before: Mapping[int, set[int]]) -> list[Unit]:
    """Cut wherever everything after needs everything up to there."""
    cuts = [
        at
        for at in range(1, len(steps))
        if all(before[later].issuperset(steps[:at]) for later in steps[at:])
    ]
    return [tuple(steps[a:b]) for a, b in zip([0, *cuts], [*cuts, len(steps)], strict=True)]


def _parts(block: Unit, before: Mapping[int, set[int]]) -> list[Unit]:
    """Steps that are before or after one another, directly or through others, are of one part."""
    parts: list[set[int]] = []
    for step in block:
        near = [part for part in parts if part & before[step]]
        parts = [part for part in parts if part not in near] + [{step}.union(*near)]
    return [tuple(sorted(part)) for part in parts]

"""The manifest of the suite `"skills"`: what it must consist of, question by question, as hashes.

`python -m langgraph_conductor.evals.suites.manifest` writes it anew, after a change on purpose.
"""

import json
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any

from langgraph_conductor.errors import ConfigError
from langgraph_conductor.evals.suites.composed import HELD_OUT, PAIRS
from langgraph_conductor.evals.suites.skills import SKILLS, seeds, skills_suite
from langgraph_conductor.evals.suites.suite import SPLITS, Suite

FILE = "skills.json"


def manifest(suite: Suite) -> dict[str, Any]:
    """What the suite is made of: its versions, the recipe of each part, and the digest of each task, in order."""
    tasks = [task for split in SPLITS for task in suite.tasks(split)]
    counts = Counter(task.domain for task in tasks)
    return {
        **suite.about,
        "skills": {
            name: {"seed": seeds()[name], "config": dict(config), "tasks": counts[name]}
            for name, config in SKILLS.items()
        },
        "pairs": {
            "+".join(pair): {"held_out": pair in HELD_OUT, "tasks": counts["+".join(pair)]}
            for pair in PAIRS
        },
        "unsolvable": counts["unsolvable"],
        "counts": {split: len(suite.tasks(split)) for split in SPLITS},
        "splits": {split: [task.digest for task in suite.tasks(split)] for split in SPLITS},
    }


def verified(suite: Suite) -> Suite:
    """The suite, if it is what the manifest says.

    Raises:
        ConfigError: If it is not; the message names the first difference.
    """
    wanted = json.loads(resources.files(__package__).joinpath(FILE).read_text(encoding="utf-8"))
    found = json.loads(json.dumps(manifest(suite)))
    if found != wanted:
        raise ConfigError(
            f"the suite {suite.name!r} that was made here is not the one of the manifest {FILE}: "
            f"{_difference(wanted, found)}. Figures would not be comparable. Install the versions that "
            "`pip install 'langgraph-conductor[eval]'` asks for; after a change on purpose, raise the suite's "
            "REVISION and run `python -m langgraph_conductor.evals.suites.manifest`"
        )
    return suite


def _difference(wanted: dict[str, Any], found: dict[str, Any]) -> str:
    for key in (key for key in (*wanted, *found) if key not in ("counts", "splits")):
        if wanted.get(key) != found.get(key):
            return f"{key} is {found.get(key)!r:.300}, not {wanted.get(key)!r:.300}"
    for split in SPLITS:
        old, new = wanted["splits"][split], found["splits"][split]
        changed = sum(a != b for a, b in zip(old, new, strict=False))
        if old != new:
            return f"{split} has {len(new)} tasks, not {len(old)}, and {changed} others than it should have"
    return "the counts differ"


def main() -> None:
    """Write the manifest beside this module."""
    path = Path(__file__).with_name(FILE)
    suite = skills_suite()
    path.write_text(json.dumps(manifest(suite), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""`python -m langgraph_conductor.train.tiny`: the small proof from the base model to its table."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the stages that are not done yet.

    Args:
        arguments: Of the command line; the process's own if left out.

    Returns:
        The exit status.
    """
    options = _parsed(arguments)
    from langgraph_conductor.train.tiny.proof import Proof, stages

    start = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - start:7.0f} s  {text}", flush=True)  # noqa: T201 - a command

    known = stages(Proof(options.folder, options.device, say), options.seeds)
    wanted = options.only or [name for name, _ in known]
    unknown = sorted(set(wanted) - {name for name, _ in known})
    if unknown:
        print(  # noqa: T201
            f"there is no stage {unknown[0]!r}; there are {', '.join(name for name, _ in known)}",
            file=sys.stderr,
        )
        return 2
    for name, run in known:
        if name in wanted:
            run()
            say(f"{name}: done")
    return 0


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m langgraph_conductor.train.tiny", description=__doc__)
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("runs/tiny"),
        help="where everything is kept; broken off, it goes on",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="one conductor for each")
    parser.add_argument("--device", default="cpu", help="cpu, or a GPU such as cuda")
    parser.add_argument("--only", nargs="+", metavar="STAGE", help="these stages alone")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())

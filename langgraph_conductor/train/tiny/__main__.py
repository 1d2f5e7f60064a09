"""`python -m langgraph_conductor.train.tiny`: the small proof from the base model to its table."""

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from langgraph_conductor.errors import ConductorError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the stages that are not done yet.

    Args:
        arguments: Of the command line; the process's own if left out.

    Returns:
        The exit status.
    """
    options = _parsed(arguments)
    import torch

    from langgraph_conductor.train.tiny.proof import Proof

    try:
        torch.empty(0, device=options.device)
    except (RuntimeError, AssertionError) as error:
        return _refuse(f"there is no device {options.device!r} here: {str(error).splitlines()[0]}")

    start = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - start:7.0f} s  {text}", flush=True)  # noqa: T201 - a command

    proof = Proof(options.folder, options.device, say)
    known = {stage.name: stage for stage in proof.stages(options.seeds, options.items)}
    unknown = sorted({*(options.only or ())} - {*known})
    if unknown:
        return _refuse(f"there is no stage {unknown[0]!r}; there are {', '.join(known)}")
    try:
        for name in known:
            if not options.only or name in options.only:
                proof.run(known[name])
    except ConductorError as error:
        return _refuse(str(error))
    return 0


def _refuse(reason: str) -> int:
    print(reason, file=sys.stderr)  # noqa: T201 - a command
    return 2


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m langgraph_conductor.train.tiny", description=__doc__)
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("runs/tiny"),
        help="where everything is kept; broken off, it goes on",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="one conductor for each")
    parser.add_argument("--items", type=int, help="most questions of the table; all if left out")
    parser.add_argument("--device", default="cpu", help="cpu, or a GPU such as cuda")
    parser.add_argument("--only", nargs="+", metavar="STAGE", help="these stages alone")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a checkpoint is written on the way out
    sys.exit(main())

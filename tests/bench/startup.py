"""Seconds from the shell to the first line of `langgraph-conductor ask`, and to its first planned round."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT = 1.5
CONFIG = '[planner]\nstrategy = "single"\nworker = "w"\n[[workers]]\nname = "w"\nlocal = "calculator"\n'
SCRIPT = "from langgraph_conductor.cli import main; main()"


def _lines(config: Path) -> tuple[float, float]:
    begin = time.perf_counter()
    command = [sys.executable, "-c", SCRIPT, "ask", "What is 6 * 7?", "-c", str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as running:
        assert running.stderr is not None
        running.stderr.readline()
        first = time.perf_counter() - begin
        running.stderr.readline()
        planned = time.perf_counter() - begin
        running.communicate()
    return first, planned


def main() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "conductor.toml")
        config.write_text(CONFIG)
        first, planned = zip(*(_lines(config) for _ in range(5)), strict=True)
    line = statistics.median(first)
    print(
        f"startup: `ask` says its first line after {line:.2f} s, and has planned after {statistics.median(planned):.2f} s"
        f"  (limit {LIMIT} s)"
    )
    return line <= LIMIT


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)

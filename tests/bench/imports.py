"""Import time of the package over that of `langgraph.graph`, and what it must not bring along."""

import statistics
import subprocess
import sys

LIMIT = 0.1
BOTH = """
import sys, time
begin = time.perf_counter()
import langgraph.graph
middle = time.perf_counter()
from langgraph_conductor import *
print(middle - begin, time.perf_counter() - middle)
"""


def main() -> bool:
    base, extra = [], []
    for _ in range(9):
        out = subprocess.run(
            [sys.executable, "-c", BOTH], capture_output=True, text=True, check=True
        ).stdout
        first, second = map(float, out.split())
        base.append(first)
        extra.append(second)
    added = statistics.median(extra)
    print(
        f"imports: langgraph.graph {statistics.median(base):.2f} s, langgraph_conductor +{added:.3f} s  (limit +{LIMIT} s)"
    )
    return added <= LIMIT


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)

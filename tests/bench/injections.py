"""The injection suite on our own conductor, and the time that hostile texts of 16,000 characters take."""

import time

from langgraph_conductor.testing import attacks
from tests.pumping import SCANNERS, UNITS

LIMIT = 0.05
SIZE = 16_000


def main() -> bool:
    report = attacks.attack()
    print(f"{report}  (limit 0)")
    print(f"ways that were not there: {len(report.missing)}  (limit 0)")
    slowest = max(
        (least(read, unit * (SIZE // len(unit))), name) for name, read in SCANNERS.items() for unit in UNITS
    )
    print(
        f"16 kB of any text: {1000 * slowest[0]:.1f} ms at most, by {slowest[1]}  (limit {1000 * LIMIT:.0f} ms)"
    )
    return not report.findings and not report.missing and slowest[0] < LIMIT


def least(read: object, text: str) -> float:
    took = []
    for _ in range(3):
        begun = time.thread_time()
        read(text)
        took.append(time.thread_time() - begun)
        if took[-1] < LIMIT / 2:
            break
    return min(took)


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)

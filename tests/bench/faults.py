"""The fault matrix, counted: every cell of `tests/unit_tests/test_faults.py`."""

import re
import subprocess
import sys

CELLS = 12 * 3 * 2


def main() -> bool:
    command = [sys.executable, "-m", "pytest", "-q", "tests/unit_tests/test_faults.py", "-k", "every_cell"]
    done = subprocess.run(command, capture_output=True, text=True)
    good = int((re.search(r"(\d+) passed", done.stdout) or [0, 0])[1])
    print(
        f"faults: 12 faults x planner, middle, last step x blocking, awaited: {good} of {CELLS} cells as promised"
    )
    return good == CELLS and done.returncode == 0


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)

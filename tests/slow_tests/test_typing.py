"""What mypy and pyright say of a user's program: the right uses pass, and every wrong one is refused."""

import json
import re
import subprocess
import sys
from pathlib import Path

from mypy import api

HERE = Path(__file__).parent.parent / "typing"
_ERROR = re.compile(r"wrong\.py:(\d+): error: .*\[([a-z-]+)\]")
_WRONG = re.compile(r"# wrong: ([a-z-]+)$")


def wrong_lines():
    lines = enumerate((HERE / "wrong.py").read_text().splitlines(), 1)
    wrong = [(number, found[1]) for number, line in lines if (found := _WRONG.search(line))]
    assert len(wrong) == 20
    return wrong


def test_mypy(tmp_path):
    files = [str(HERE / name) for name in ("right.py", "wrong.py")]
    shown, trouble, _ = api.run(["--strict", f"--cache-dir={tmp_path}", *files])
    assert not trouble
    assert [(int(number), code) for number, code in _ERROR.findall(shown)] == wrong_lines()
    assert "Found 20 errors in 1 file (checked 2 source files)" in shown


def test_pyright():
    command = [
        sys.executable,
        "-m",
        "basedpyright",
        "--pythonpath",
        sys.executable,
        "--level",
        "error",
        "--outputjson",
    ]
    run = subprocess.run([*command, str(HERE)], capture_output=True, text=True, check=False)
    found = json.loads(run.stdout)["generalDiagnostics"]
    refused = [(Path(one["file"]).name, one["range"]["start"]["line"] + 1) for one in found]
    assert refused == [("wrong.py", number) for number, _ in wrong_lines()]

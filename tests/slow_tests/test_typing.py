"""What mypy says of a user's program; basedpyright reads the same files and agrees line by line."""

import re
from pathlib import Path

from mypy import api

HERE = Path(__file__).parent.parent / "typing"
_ERROR = re.compile(r"wrong\.py:(\d+): error: .*\[([a-z-]+)\]")
_WRONG = re.compile(r"# wrong: ([a-z-]+)$")


def test_right_uses_are_accepted_and_wrong_ones_refused(tmp_path):
    files = [str(HERE / name) for name in ("right.py", "wrong.py")]
    shown, trouble, _ = api.run(["--strict", f"--cache-dir={tmp_path}", *files])
    assert not trouble
    lines = enumerate((HERE / "wrong.py").read_text().splitlines(), 1)
    wrong = [(str(number), found[1]) for number, line in lines if (found := _WRONG.search(line))]
    assert len(wrong) == 20
    assert _ERROR.findall(shown) == wrong
    assert "Found 20 errors in 1 file (checked 2 source files)" in shown

"""What type checkers say of a user's program: mypy here; `make test-types` runs basedpyright on the same files."""

import re
from pathlib import Path

from mypy import api

HERE = Path(__file__).parent.parent / "typing"
_ERROR = re.compile(r"wrong\.py:(\d+): error: .*\[([a-z-]+)\]")
_WRONG = re.compile(r"# wrong: ([a-z-]+)$")


def checked(name: str, cache: Path) -> str:
    shown, trouble, _ = api.run(
        ["--strict", "--hide-error-context", f"--cache-dir={cache}", str(HERE / name)]
    )
    assert not trouble
    return shown


def test_right_uses_are_accepted_and_wrong_ones_refused(tmp_path):
    assert checked("right.py", tmp_path) == "Success: no issues found in 1 source file\n"
    lines = enumerate((HERE / "wrong.py").read_text().splitlines(), 1)
    wrong = [(str(number), found[1]) for number, line in lines if (found := _WRONG.search(line))]
    assert len(wrong) == 20
    assert _ERROR.findall(checked("wrong.py", tmp_path)) == wrong

"""Suites: the tasks an evaluation asks."""

from os import PathLike, fspath
from pathlib import Path

from langgraph_conductor.errors import ConfigError
from langgraph_conductor.evals.suites.suite import FORM, SPLITS, Split, Suite, split_of

__all__ = ["FORM", "SPLITS", "Split", "Suite", "load_suite", "split_of"]


def load_suite(name_or_path: str | PathLike[str], *, allow_code: bool = False) -> Suite:
    """A suite by its name or from a file.

    Args:
        name_or_path: `"starter"`, `"tiny"` or `"skills"`, which need no file; a `.jsonl` file of one's own
            (`files.jsonl_suite`); `"gsm8k:FOLDER"` or `"mmlu:FOLDER"` for these in the form their authors publish.

        allow_code: Whether a `.jsonl` file may name graders of its own (`module:function`). That is code, which
            runs with your rights: allow it for files you trust alone.

    Raises:
        ConfigError: If there is no such suite, a file holds a mistake or names code that is not allowed,
            or `"skills"` differs from its manifest.
        ImportError: If `"skills"` is wanted and reasoning-gym is missing.
    """
    from langgraph_conductor.evals.suites import files

    text = fspath(name_or_path)
    kind, _, folder = text.partition(":")
    if text == "starter":
        from langgraph_conductor.evals.suites.starter import starter_suite

        return starter_suite()
    if text == "tiny":
        from langgraph_conductor.evals.suites.tiny import tiny_suite

        return tiny_suite()
    if text == "skills":
        # Loaded here, so that a suite from a file needs neither reasoning-gym nor the generators.
        from langgraph_conductor.evals.suites.manifest import verified
        from langgraph_conductor.evals.suites.skills import skills_suite

        return verified(skills_suite())
    if folder and kind == "gsm8k":
        return files.gsm8k_suite(Path(folder))
    if folder and kind == "mmlu":
        return files.mmlu_suite(Path(folder))
    if text.endswith(".jsonl"):
        return files.jsonl_suite(Path(text), allow_code=allow_code)
    raise ConfigError(
        f"there is no suite {text!r}; there are 'starter', 'tiny', 'skills', a .jsonl file, 'gsm8k:FOLDER' and "
        "'mmlu:FOLDER'"
    )

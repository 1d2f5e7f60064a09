"""A task: a question whose answer can be checked."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Task:
    """A question, and what a grader needs to score an answer to it.

    Args:
        question: The question, with the form its answer shall have.
        answer: The right answer ("gold"). Never shown to a planner or worker.
        grader: The name of the grader, see `rewards.grade`.
        domain: What kind of question it is; profiles and reports group by it.
        difficulty: How many skills it takes one after the other, from 1; reports group by it.
        skills: The names of these skills.
        about: What else the grader needs, as JSON.

    Raises:
        ValueError: If the question or the grader's name is empty, or a value is of another type.
    """

    question: str
    answer: str
    grader: str
    domain: str = ""
    difficulty: int = 1
    skills: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("question", "grader"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip():
                raise ValueError(f"a task needs a {name}, a text, not {_shown(value)}")
        if not isinstance(self.answer, str):
            raise ValueError(f"a task's answer is a text, not {_shown(self.answer)}")
        if type(self.difficulty) is not int or self.difficulty < 1:
            raise ValueError(
                f"a task's difficulty is a whole number from 1 up, not {_shown(self.difficulty)}"
            )
        if not isinstance(self.domain, str):
            raise ValueError(f"a task's domain is a text, not {_shown(self.domain)}")
        listed = isinstance(self.skills, list | tuple)
        if not listed or not all(isinstance(skill, str) for skill in self.skills):
            raise ValueError(f"a task's skills are a list of texts, not {_shown(self.skills)}")
        object.__setattr__(self, "skills", tuple(self.skills))
        try:
            if not isinstance(self.about, Mapping):
                raise TypeError("it is no object")
            json.dumps(dict(self.about), sort_keys=True, allow_nan=False)
        except (RecursionError, TypeError, ValueError) as error:
            raise ValueError(
                f"what is `about` a task is a JSON object, not {_shown(self.about)}: {error}"
            ) from None

    @property
    def id(self) -> str:
        """16 hexadecimal digits of the question's SHA-256: the same question is the same task."""
        return hashlib.sha256(self.question.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    @property
    def digest(self) -> str:
        """The same of everything in it, for manifests."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        data = {name: getattr(self, name) for name in self.__slots__}
        return {**data, "skills": list(self.skills), "about": dict(self.about)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Task":
        """The inverse of `to_json`; what is left out has its default.

        Raises:
            ValueError: If a key is unknown or missing, or a value does not fit.
        """
        unknown = set(data) - set(cls.__slots__)
        missing = {"question", "answer", "grader"} - set(data)
        if unknown or missing:
            wrong = f"does not know {sorted(unknown)}" if unknown else f"needs {sorted(missing)}"
            raise ValueError(f"a task {wrong}; its keys are {', '.join(cls.__slots__)}")
        return cls(**data)


def _shown(value: Any) -> str:
    try:
        return f"{value!r:.80}"
    except ValueError:  # an integer of more digits than Python shows
        return f"a {type(value).__name__} that is too long to show"

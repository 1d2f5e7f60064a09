"""Measured profiles of workers: what each got right, what it cost, and how sure that is."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from os import PathLike
from typing import Any, Final

from langgraph_conductor.intervals import wilson
from langgraph_conductor.prices import reported_usd
from langgraph_conductor.tables import TEXT, Kind, Kinds, Table
from langgraph_conductor.text_files import read_json, read_text, write_private


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of one worker that answers alone.

    Args:
        n: Questions asked.
        accuracy: Share of right answers, from 0 to 1; of several answers to one question, first their mean.
        tokens: Mean tokens of an answer, sent and received.
        seconds: Mean seconds of an answer.
        p95_seconds: 95 of 100 answers took no longer.
        readable: Share of answers from which a final answer could be read.
        usd: Mean cost of an answer in US dollars; `None` if the price of a call is unknown.
    """

    n: int
    accuracy: float
    tokens: float
    seconds: float
    p95_seconds: float
    readable: float
    usd: Decimal | None = None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy."""
        return wilson(self.accuracy * self.n, self.n)

    def to_json(self) -> dict[str, Any]:
        """As JSON, with the interval for readers; money as a string, because floats are not exact."""
        data = {name: getattr(self, name) for name in self.__slots__}
        usd = None if self.usd is None else str(self.usd)
        return {**data, "usd": usd, "interval": [round(end, 4) for end in self.interval]}


@dataclass(frozen=True, slots=True)
class WorkerProfile:
    """What was measured of one worker.

    Args:
        overall: Over all questions.
        domains: By domain of the question.
    """

    overall: Measured
    domains: Mapping[str, Measured] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        domains = {domain: measured.to_json() for domain, measured in self.domains.items()}
        return {"overall": self.overall.to_json(), "domains": domains}


@dataclass(frozen=True, slots=True)
class Profiles:
    """What was measured of the workers of a pool; a file `profiles.json`.

    Args:
        workers: By name.
        suite: Name of the suite they were asked.
        split: Which part of it; the training split, if the others are to be reported.
        date: Day of the measurement, as in `"2026-11-21"`.
    """

    workers: Mapping[str, WorkerProfile]
    suite: str = ""
    split: str = ""
    date: str = ""

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        workers = {name: profile.to_json() for name, profile in self.workers.items()}
        return {"suite": self.suite, "split": self.split, "date": self.date, "workers": workers}

    def save(self, path: str | PathLike[str]) -> None:
        """Write the file, a new one for its owner alone."""
        text = json.dumps(self.to_json(), ensure_ascii=False, indent=2)
        write_private(path, text + "\n")

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "Profiles":
        """Read what `save` wrote.

        Raises:
            ConfigError: If the file cannot be read or holds a mistake; it names the place and what is allowed.
        """
        table = Table(str(path), "", _json(path))
        table.check(_FILE, required=["workers"])
        workers = {}
        for name, values in table.values["workers"].items():
            place = _table(table, f"workers, {name}", values)
            place.check(_WORKER, required=["overall"])
            workers[name] = WorkerProfile(
                _read(place, "overall", place.values["overall"]),
                {
                    domain: _read(place, domain, given)
                    for domain, given in place.values.get("domains", {}).items()
                },
            )
        return cls(workers, *(table.values.get(key, "") for key in ("suite", "split", "date")))

    @classmethod
    def of(cls, given: "Profiles | str | PathLike[str]") -> "Profiles":
        """`given` itself, or what its file holds.

        Raises:
            ConfigError: As `load`.
        """
        return given if isinstance(given, Profiles) else cls.load(given)


_TOO_MUCH: Final = 1e15
"""More than was ever counted; a greater number cannot be reckoned with."""


def _from(least: float, most: float = math.inf) -> Kind:
    reach = f"from {least} {'up' if most == math.inf else f'to {most}'}"
    return Kind(
        f"a number {reach}",
        lambda value: type(value) in (int, float) and least <= value <= most and value < _TOO_MUCH,
    )


_OBJECT: Final = Kind('an object, such as {"key": 1}', lambda value: isinstance(value, dict))
_FILE: Final[Kinds] = {"suite": TEXT, "split": TEXT, "date": TEXT, "workers": _OBJECT}
_WORKER: Final[Kinds] = {"overall": _OBJECT, "domains": _OBJECT}
_MEASURED: Final[Kinds] = {
    "n": Kind("a whole number from 1 up", lambda value: type(value) is int and 0 < value < _TOO_MUCH),
    "accuracy": _from(0, 1),
    "tokens": _from(0),
    "seconds": _from(0),
    "p95_seconds": _from(0),
    "readable": _from(0, 1),
    "usd": Kind(
        'US dollars as text, such as "0.0012", or null',
        lambda value: value is None or (isinstance(value, str) and reported_usd(value) is not None),
    ),
    "interval": Kind("two numbers; it may be left out", lambda value: isinstance(value, list)),
}


def _json(path: str | PathLike[str]) -> dict[str, Any]:
    file = Table(str(path), "", {})
    try:
        data = read_json(read_text(path))
    except FileNotFoundError as error:
        raise file.error("there is no such file") from error
    except OSError as error:
        raise file.error(f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise file.error(f"is not JSON: {error}") from error
    return dict(_table(file, "", data).values)


def _table(file: Table, name: str, values: Any) -> Table:
    if not isinstance(values, dict):
        raise Table(file.file, name, {}).error(f"must be {_OBJECT.name}")
    return Table(file.file, name, values)


def _read(worker: Table, key: str, values: Any) -> Measured:
    place = _table(worker, f"{worker.name}, {key}", values)
    place.check(_MEASURED, required=[key for key in _MEASURED if key not in ("usd", "interval")])
    usd = place.values.get("usd")
    return Measured(**place.without("usd", "interval"), usd=None if usd is None else Decimal(usd))


__all__ = ["Measured", "Profiles", "WorkerProfile"]

"""An injection suite: hostile texts sent through a conductor on every way a text can take, offline.

Models, tools and users are scripted; they say a hostile text, and a harmless one of as many lines in its place.
Whatever differs between the two runs, apart from the text itself, the hostile text has changed: the plan, what was
granted, what was counted, prompts, outputs and answers, what a terminal, a log or a page shows. Long texts of like
parts are timed, too: one that takes far longer than a harmless text of its length, and more than in proportion to
its length, is found. Environment variables of keys that the texts ask for hold a canary meanwhile, which may be
seen nowhere. A conductor keeps text to be text if nothing differs and the canary stays unseen.

To try your own conductor, give `attack` a function that builds it from a planner's model and three workers, as
your app would from its own; see there. `ROUTES` says which ways there are, `Finding` at which surfaces is looked.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from langchain_core.language_models import BaseChatModel
from langgraph.checkpoint.memory import InMemorySaver

from langgraph_conductor.testing.attack_canary import baited, leaks, planted
from langgraph_conductor.testing.attack_drawings import Printer
from langgraph_conductor.testing.attack_likeness import likened
from langgraph_conductor.testing.attack_team import ASKS, NAME, ROUTES, MakeConductor, Team
from langgraph_conductor.testing.attack_texts import CATEGORIES, PAYLOADS, Attack
from langgraph_conductor.testing.attack_times import LONG, Seconds, grown
from langgraph_conductor.testing.attack_traces import TEXTS, Trace, shown, trace
from langgraph_conductor.workers import Worker

__all__ = ["CATEGORIES", "PAYLOADS", "ROUTES", "Attack", "Finding", "Report", "attack"]

_HARMLESS: Final = "quite ordinary"
_WORDS: Final = "words and more words "


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a hostile text has changed.

    Args:
        attack: The text.
        route: The way it took, one of `ROUTES`.
        surface: Where it shows:

            - `"plan"`: who did what, and how it ended; `"access"`: what was granted;
            - `"accounting"`: calls counted;
            - `"prompts"`: who speaks in prompts, and their tags; `"texts"`: the words of prompts;
            - `"answer"`; `"outputs"`: of steps;
            - `"templates"`: special tokens in prompts as this package renders them;
            - `"terminal"`: lines of events, the tree of the run while it goes on and when it is over, its
              description, its JSON; `"log"`; `"page"`: the run's page, and `"chart"`: the Mermaid chart;
            - `"printed"`: signs that command a terminal in what your own `printers` make of results;
            - `"time"`: more than linear time, with the seconds of the parts that take it (`"run"` is the
              conductor itself, the others are surfaces);
            - `"secrets"`: a key of the environment was seen, with the places where it was;
            - `"run"`: the run failed.
        expected: What was seen there with a harmless text.
        seen: What was seen there with the hostile one.
    """

    attack: Attack
    route: str
    surface: str
    expected: Any
    seen: Any

    def __str__(self) -> str:
        before, after = _apart(self.expected, self.seen)
        return (
            f"{self.attack.category} {self.attack.number}, {self.route}: changed the {self.surface}: "
            f"{before!r:.200} became {after!r:.200}"
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What came of an attack.

    Args:
        findings: All that was changed.
        tried: How many texts took a way: texts times ways.
        missing: Ways that the conductor does not have, so that no text took them.
    """

    findings: tuple[Finding, ...]
    tried: int
    missing: tuple[str, ...] = ()

    @property
    def by_category(self) -> Mapping[str, int]:
        """Findings of each category that has any."""
        return Counter(found.attack.category for found in self.findings)

    @property
    def by_surface(self) -> Mapping[str, int]:
        """Findings at each surface that has any."""
        return Counter(found.surface for found in self.findings)

    def __str__(self) -> str:
        changed = len({(found.attack, found.route) for found in self.findings})
        first = f"injection suite: {changed} of {self.tried} changed anything"
        return "\n".join([first, *map(str, self.findings)])


def attack(
    make_conductor: MakeConductor | None = None,
    *,
    payloads: Iterable[Attack] = PAYLOADS,
    routes: Sequence[str] = ROUTES,
    tags: Sequence[str] = (),
    categories: Sequence[str] | None = None,
    printers: Sequence[Printer] = (),
) -> Report:
    """Send hostile texts through a conductor, and find what they change.

    All texts on all ways are some 2,000 turns of a conversation: three to six minutes of one core, and longer on
    a busy machine. `routes` and `categories` try a part.

    Environment variables of keys that the texts name (`OPENAI_API_KEY`, `api_key`) hold a random value until this
    returns: run nothing beside it that needs them. Times are of the whole process: what else it does counts.

    Args:
        make_conductor: Builds the conductor from a planner's model and three workers (`speaker`, `looker` with a
            tool, `reader`); it is called once for each way. Without one, `create_conductor` with two rounds is
            attacked. It has to answer without a network, and the same to the same question. If it asks a person
            (`approve=True`, with a checkpointer), the suite answers; each turn is a thread of its own.
        payloads: The texts. Those of 4,000 characters or more are timed, too; they should be of like parts.
        routes: The ways, of `ROUTES`.
        tags: Names of the tags that prompts of your own use, to be watched beside the package's.
        categories: Categories of the texts that are tried, such as `["plans", "ANSI"]`; all if left out.
        printers: Functions with which your app makes text of a result for a terminal, such as
            `lambda result: json.dumps(result["rounds"])`.

    Returns:
        What was found: `report.findings` is empty if text stayed text.

    Raises:
        ValueError: If a way or a category is not known, or the conductor does not run with harmless texts.

    Example:
        ```python
        from langgraph_conductor import create_conductor
        from langgraph_conductor.testing import attacks

        report = attacks.attack(
            lambda planner, workers: create_conductor(planner, workers, max_rounds=2),
            payloads=attacks.PAYLOADS[:3],
        )
        assert not report.findings, str(report)
        ```
    """
    if unknown := set(routes) - set(ROUTES):
        raise ValueError(f"there is no way {sorted(unknown)[0]!r}; choose from {', '.join(ROUTES)}")
    payloads = tuple(payloads)
    if categories is not None:
        known = dict.fromkeys([*CATEGORIES, *(one.category for one in payloads)])
        if unknown := set(categories) - set(known):
            raise ValueError(f"there is no category {sorted(unknown)[0]!r}; choose from {', '.join(known)}")
        payloads = tuple(one for one in payloads if one.category in categories)
    findings: list[Finding] = []
    missing = []
    with planted(baited(payloads)) as canary:
        for route in routes:
            team = Team(make_conductor or _ours(route), route, tuple(printers))
            trial = _Trial(team, tuple(tags), canary)
            if payloads and not trial.can_be_taken():
                missing.append(route)
                continue
            for one in payloads:
                findings += trial.of(one)
    return Report(tuple(findings), len(payloads) * (len(routes) - len(missing)), tuple(missing))


def _ours(route: str) -> MakeConductor:
    def make(planner: BaseChatModel, workers: list[Worker]) -> Any:
        from langgraph_conductor.graph import create_conductor

        if route != ASKS:
            return create_conductor(planner, workers, max_rounds=2)
        return create_conductor(planner, workers, max_rounds=2, approve=True, checkpointer=InMemorySaver())

    return make


def _harmless(lines: int, size: int = 0) -> str:
    """A harmless text of so many lines, and if it is long, of so many characters."""
    text = "\n".join([_HARMLESS] * lines)
    if size <= len(text):
        return text
    return f"{text} {_WORDS * (size // len(_WORDS))}"[: size - 1].rstrip() + "y"


@dataclass
class _Trial:
    """Texts that a team says, one after the other.

    Args:
        team: The conductor and who speaks.
        tags: Tags to be watched.
        canary: A value that may be seen nowhere.
    """

    team: Team
    tags: tuple[str, ...]
    canary: str
    expected: dict[tuple[int, int], tuple[Trace, Seconds]] = field(default_factory=dict)

    def can_be_taken(self) -> bool:
        """Whether the conductor has the way; what is logged only once is not taken for a change later."""
        self._harmless_run(_HARMLESS)
        return self.team.route != ASKS or self.team.asked > 0

    def of(self, one: Attack) -> list[Finding]:
        """What a text changes."""
        lines = 1 if self.team.route == NAME else one.text.strip().count("\n") + 1
        size = len(one.text) if len(one.text) >= LONG else 0
        harmless = _harmless(lines, size)
        if (lines, size) not in self.expected:
            trace, seconds = self._harmless_run(harmless)
            # A key that is seen with harmless texts too is seen none the less.
            self.expected[lines, size] = {**trace, "secrets": []}, seconds
        expected, plain = self.expected[lines, size]
        route = self.team.route
        try:
            seen, seconds = self._run(one.text)
            forms = self.team.forms(harmless), self.team.forms(one.text)
            for surface in TEXTS:
                seen[surface] = likened(expected[surface], seen[surface], *forms)
            found = [
                Finding(one, route, surface, expected[surface], seen[surface])
                for surface in seen
                if seen[surface] != expected[surface]
            ]
            if size:
                usual, slow = grown(
                    lambda text: self.team.run(text)[1],
                    one.text,
                    lambda size: _harmless(lines, size),
                    (plain, seconds),
                )
                found += [Finding(one, route, "time", usual, slow)] if slow else []
        except Exception as error:  # noqa: BLE001 - that it fails is what was looked for
            return [Finding(one, route, "run", "an answer", repr(error))]
        return found

    def _harmless_run(self, text: str) -> tuple[dict[str, Any], Seconds]:
        try:
            return self._run(text)
        except Exception as error:
            raise ValueError(f"the conductor does not run with harmless texts: {error}") from error

    def _run(self, text: str) -> tuple[dict[str, Any], Seconds]:
        seen, seconds = self.team.run(text)
        return {**trace(seen, self.tags), "secrets": leaks(shown(seen), self.canary)}, seconds


def _apart(before: Any, after: Any) -> tuple[Any, Any]:
    """The first parts of two traces in which they differ; of long texts, from a little before that on."""
    if isinstance(before, str) and isinstance(after, str):
        pairs = enumerate(zip(before, after, strict=False))
        differ = next((at for at, (one, other) in pairs if one != other), min(len(before), len(after)))
        return before[max(0, differ - 40) :], after[max(0, differ - 40) :]
    if isinstance(before, list | tuple) and isinstance(after, list | tuple) and len(before) == len(after):
        for one, other in zip(before, after, strict=True):
            if one != other:
                return _apart(one, other)
    return before, after

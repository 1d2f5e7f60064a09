"""An injection suite: hostile texts sent through a conductor on every way a text can take, offline.

Models, tools and users are scripted; they say a hostile text, and a harmless one of as many lines in its place.
Whatever differs between the two runs, apart from the text itself, the hostile text has changed: the plan, what was
granted, what was counted, prompts, outputs and answers, what a terminal, a log or a page shows. Environment
variables of keys that the texts ask for hold a canary meanwhile, which may be seen nowhere. A conductor keeps text
to be text if nothing differs and the canary stays unseen.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from langgraph_conductor.testing.attack_canary import baited, leaks, planted
from langgraph_conductor.testing.attack_likeness import likened
from langgraph_conductor.testing.attack_texts import CATEGORIES, PAYLOADS, Attack
from langgraph_conductor.testing.attack_traces import TEXTS, Trace, logged, shown, trace
from langgraph_conductor.testing.plans import ACCEPT_TEXT, plan_text
from langgraph_conductor.testing.scripted import ScriptedModel
from langgraph_conductor.workers import Worker

__all__ = ["CATEGORIES", "PAYLOADS", "ROUTES", "Attack", "Finding", "Report", "attack"]

MakeConductor = Callable[[BaseChatModel, list[Worker]], Any]
"""Builds what is attacked from a planner's model and workers: a graph, as `create_conductor` returns one."""

ROUTES: Final = (
    "worker to worker",
    "tool to worker",
    "question to planner",
    "planner to display",
    "error to log",
)
"""Ways of a text: from who says it to who is shown it."""

_REMEMBERED: Final = ("worker to worker", "question to planner")
_HARMLESS: Final = "quite ordinary"
_ELSEWHERE: Final = "as usual"
"""What is said on the other ways: it stays when the harmless text gives way to a hostile one."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a hostile text has changed.

    Args:
        attack: The text.
        route: The way it took, one of `ROUTES`.
        surface: Where it shows: `"plan"`, `"access"`, `"accounting"`, `"prompts"` (who speaks, and tags),
            `"texts"` (the words of prompts), `"answer"`, `"outputs"` (of steps), `"templates"`, `"terminal"`,
            `"log"`, `"page"`, `"chart"`; `"secrets"`, if a key of the environment was seen, with the
            places where it was; or `"run"`, if the run failed.
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
    """

    findings: tuple[Finding, ...]
    tried: int

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
) -> Report:
    """Send hostile texts through a conductor, and find what they change.

    All texts on all ways are some 850 turns of a conversation: one to two minutes of one core, and several on a
    busy machine. `routes` and `categories` try a part.

    Environment variables of keys that the texts name (`OPENAI_API_KEY`, `api_key`) hold a random value until this
    returns: run nothing beside it that needs them.

    Args:
        make_conductor: Builds the conductor from a planner's model and three workers (`speaker`, `looker` with a
            tool, `reader`); it is called once for each way. Without one, `create_conductor` with two rounds is
            attacked. It has to answer without a person, without a network, and the same to the same question.
        payloads: The texts.
        routes: The ways.
        tags: Names of the tags that prompts of your own use, to be watched beside the package's.
        categories: Categories of the texts that are tried, such as `["plans", "ANSI"]`; all if left out.

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
    with planted(baited(payloads)) as canary:
        for route in routes:
            team = _Team(make_conductor or _ours, route, tuple(tags), canary)
            for one in payloads:
                findings += team.attacked(one)
    return Report(tuple(findings), len(payloads) * len(routes))


def _ours(planner: BaseChatModel, workers: list[Worker]) -> Any:
    from langgraph_conductor.graph import create_conductor

    return create_conductor(planner, workers, max_rounds=2)


def _harmless(lines: int) -> str:
    return "\n".join([_HARMLESS] * lines)


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


@dataclass
class _Team:
    """A conductor of scripted models, of which one says the text.

    Args:
        make: Builds it.
        route: The way of the text.
        tags: Tags to be watched.
        canary: A value that may be seen nowhere.
    """

    make: MakeConductor
    route: str
    tags: tuple[str, ...]
    canary: str
    text: str = _HARMLESS
    plans: int = 0
    expected: dict[int, Trace] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.planner = ScriptedModel(replies=self._plan)
        self.speaker = ScriptedModel(replies=lambda _: self._at("worker to worker"))
        self.looker = ScriptedModel(replies=self._look)
        self.reader = ScriptedModel(replies=["It is four."])
        workers = [
            Worker("speaker", self.speaker, description="Speaks.", retries=0),
            Worker("looker", self.looker, tools=[self._tool()], description="Looks things up.", retries=0),
            Worker("reader", self.reader, description="Reads.", retries=0),
        ]
        self.conductor = self.make(self.planner, workers)

    def attacked(self, one: Attack) -> list[Finding]:
        """What a text changes."""
        lines = max(1, len(one.text.strip().splitlines()))
        if lines not in self.expected:
            self.text = _harmless(lines)
            try:
                if not self.expected:
                    self._run()  # what is logged only once is not taken for a change
                # A key that is seen with harmless texts too is seen none the less.
                self.expected[lines] = {**self._run(), "secrets": []}
            except Exception as error:
                raise ValueError(f"the conductor does not run with harmless texts: {error}") from error
        self.text = one.text
        expected = self.expected[lines]
        try:
            seen = dict(self._run())
        except Exception as error:  # noqa: BLE001 - that it fails is what was looked for
            return [Finding(one, self.route, "run", "an answer", repr(error))]
        for surface in TEXTS:
            seen[surface] = likened(expected[surface], seen[surface], _harmless(lines), one.text)
        return [
            Finding(one, self.route, surface, expected[surface], seen[surface])
            for surface in seen
            if seen[surface] != expected[surface]
        ]

    def _run(self) -> Trace:
        models = (self.planner, self.speaker, self.looker, self.reader)
        for model in models:
            model.calls.clear()
        self.plans = 0
        said = {"role": "user", "content": f"What is it? {self._at('question to planner')}"}
        later = []
        with logged() as lines:
            result, events = self._asked([said])
            if self.route in _REMEMBERED:  # as a turn of a conversation
                answer = {"role": "assistant", "content": self._at("worker to worker")}
                self.plans = 0
                later.append(self._asked([said, answer, {"role": "user", "content": "And now?"}]))
        if not isinstance(result.get("rounds"), list):
            raise TypeError("it returns no `rounds`, as a conductor does")
        results = [result, *(one for one, _ in later)]
        told = [*events, *(event for _, more in later for event in more)]
        prompts = [prompt for model in models for prompt in model.calls]
        workers = prompts[len(self.planner.calls) :]
        traced = trace(result, events, self.planner.calls, workers, lines, self.tags, results[1:])
        return {**traced, "secrets": leaks(shown(results, told, prompts, lines), self.canary)}

    def _asked(self, messages: list[Any]) -> tuple[Mapping[str, Any], list[Any]]:
        result: Mapping[str, Any] = {}
        events = []
        for mode, part in self.conductor.stream({"messages": messages}, stream_mode=["custom", "values"]):
            if mode == "custom":
                events.append(part)
            else:
                result = part
        return result, events

    def _at(self, route: str) -> str:
        return self.text if self.route == route else _ELSEWHERE

    def _plan(self, _: list[BaseMessage]) -> Any:
        self.plans += 1
        if self.plans > 1:
            return ACCEPT_TEXT
        if self.route == "error to log":
            return RuntimeError(f"refused: {self.text}")
        asked = f"Say it. {self._at('planner to display')}".replace("\0", "")
        return plan_text(
            ("looker", "Look it up.", []), ("speaker", asked, []), ("reader", "Read and answer.", "all")
        )

    def _look(self, messages: list[BaseMessage]) -> Any:
        found = [message for message in messages if isinstance(message, ToolMessage)]
        if not found:
            return AIMessage("", tool_calls=[{"name": "look", "args": {"what": "it"}, "id": "1"}])
        return f"I found: {self._at('tool to worker')}"

    def _tool(self) -> Any:
        def look(what: str) -> str:
            """Look something up."""
            return self._at("tool to worker")

        return look

"""Plans bound to a grammar while they are written, so that a policy in training cannot lose the format.

`PlanGrammar` knows the canonical texts (`Workflow.to_text`): the paper's three lists, with the offered ordinals, a
menu of subtasks, and access lists that grant nothing or everything; `Grammar` takes any other `Language`. The
vocabulary is laid over the language's characters: a plan may be cut into tokens in any way the tokenizer has
tokens for, and any tokenizer will do.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import cycle, islice
from typing import Any, Final, NamedTuple, cast

from langgraph_conductor.dialect import LISTS
from langgraph_conductor.train.learning.asks import Ask
from langgraph_conductor.workflow import ALL, Access, Step, Workflow

_IDS, _SUBTASKS, _ACCESS = LISTS
_MOST_KNOWN: Final = 16
_MOST_SEEN: Final = 20_000

Place = Hashable
"""A place in a text, as its language tells them apart."""

ENDED: Final[Place] = "ended"
"""The place after a whole text."""


class Language(ABC):
    """The texts that may be written: at each place of a text some choices, of which none begins another.

    Languages are compared by what they allow, so that what is known of one is used again.
    """

    @property
    @abstractmethod
    def start(self) -> Place:
        """Where a text begins."""

    @abstractmethod
    def choices_at(self, place: Place) -> Iterator[tuple[str, Place]]:
        """What may stand at a place, and the place after it; `ENDED` after the last."""

    @abstractmethod
    def samples(self) -> Iterator[str]:
        """Some texts that hold all that may be chosen, to try a tokenizer on."""

    def steps(self, state: "_State") -> Mapping[str, "_State"]:
        """The characters that may come next, and the state after each."""
        if state.place not in self._known:
            choices = {} if state.place == ENDED else dict(self.choices_at(state.place))
            self._known[state.place] = _begun(state.place, choices)
        return self._known[state.place][state.written]

    @cached_property
    def _known(self) -> dict[Place, dict[str, dict[str, "_State"]]]:
        return {}


class Grammar:
    """What a policy may write, as a `constraint` of a trainer.

    Args:
        tokenizer: A tokenizer of transformers, with an end token (`eos_token_id`).
        language_of: The language of what is asked.

    Raises:
        ValueError: If the tokenizer has no end token.
    """

    def __init__(self, tokenizer: Any, language_of: Callable[[Ask], Language]) -> None:
        if tokenizer.eos_token_id is None:
            raise ValueError("the tokenizer has no end token, so a plan could never end; set `eos_token`")
        self._tokenizer, self._language_of = tokenizer, language_of
        self._vocabulary = _Node.of(tokenizer)
        self._known: dict[Language, PlanWriting] = {}

    def __call__(self, ask: Ask) -> "PlanWriting":
        """What may be written where this is asked.

        Raises:
            ValueError: If the tokenizer has no tokens for a part of such a plan.
        """
        language = self._language_of(ask)
        if language not in self._known:
            encode = partial(self._tokenizer.encode, add_special_tokens=False)
            writing = PlanWriting(language, self._vocabulary, self._tokenizer.eos_token_id, encode)
            for plan in language.samples():
                try:
                    writing.allowed(encode(plan))
                except ValueError as error:
                    raise ValueError(f"the tokenizer cannot write this plan:\n{plan}\n({error})") from None
            while len(self._known) >= _MOST_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[language] = writing
        return self._known[language]


class PlanGrammar(Grammar):
    """Canonical plans.

    Args:
        tokenizer: See `Grammar`.
        subtasks: The menu: what a step may be asked.
        max_steps: Most steps of a plan.

    Raises:
        ValueError: If an argument does not fit, or the tokenizer has no end token.
    """

    def __init__(self, tokenizer: Any, subtasks: Iterable[str], max_steps: int = 5) -> None:
        menu = tuple(dict.fromkeys(subtasks))
        if not menu:
            raise ValueError("the menu is empty; give at least one subtask")
        if max_steps < 1:
            raise ValueError(f"max_steps is at least 1, not {max_steps}")

        def language(ask: Ask) -> Language:
            offered = ask.pool.ordinals
            last = tuple(str(n) for n, name in offered.items() if ask.pool[name].may_be_last)
            later = ask.request(max_steps).may_accept
            return _Lists(tuple(map(str, offered)), last, menu, max_steps, later)

        super().__init__(tokenizer, language)


class PlanWriting:
    """One plan being written, as an automaton over tokens.

    A state is a place in the plan and what of the choice made there has been written. Only tokens from which the
    plan can be brought to an end are allowed, whatever else the tokenizer has no tokens for.
    """

    def __init__(
        self, language: Language, vocabulary: "_Node", end: int, encode: Callable[[str], list[int]]
    ) -> None:
        self._language, self._encode = language, encode
        self._started = _State(language.start, "")
        self._seen: dict[tuple[int, ...], _State] = {}  # a text is asked about token by token
        self._vocabulary, self._end = vocabulary, end
        self._rests: dict[_State, tuple[int, ...]] = {}
        self._reach: dict[_State, dict[int, _State]] = {_ENDED: {end: _ENDED}}
        self._moves = dict(self._reach)
        self._live = {_ENDED}
        self._dead: set[_State] = set()

    def allowed(self, tokens: Sequence[int]) -> Sequence[int]:
        """The token ids that may follow.

        Args:
            tokens: What was written so far, from the plan's beginning.

        Returns:
            Ids, at least one; after a whole plan, and after its end token, the end token alone.

        Raises:
            ValueError: If `tokens` do not begin a plan.
        """
        return tuple(self._live_moves(self._state(tuple(tokens))))

    def rest(self, tokens: Sequence[int]) -> tuple[int, ...]:
        """The tokens of what is left to write, the end token last, if there is one text left; else none.

        Raises:
            ValueError: If `tokens` do not begin a plan.
        """
        state = self._state(tuple(tokens))
        if state not in self._rests:
            self._rests[state] = self._rest(state)
        return self._rests[state]

    def _rest(self, state: "_State") -> tuple[int, ...]:
        left = self._left(state)
        if left is None:
            return ()
        usual = self._encode(left)
        found: list[int] = []
        while state != _ENDED:
            moves = self._live_moves(state)
            at = len(found)
            # As the tokenizer would cut it, if that can be done from here; else in the longest tokens there are.
            fits = at < len(usual) and usual[:at] == found and usual[at] in moves
            found.append(
                usual[at] if fits else min(moves, key=lambda token: len(self._left(moves[token]) or ""))
            )
            state = moves[found[-1]]
        return (*found, self._end)

    def _left(self, state: "_State") -> str | None:
        """What is left to write; `None` where there is a choice in it."""
        left = ""
        while after := self._language.steps(state):
            if len(after) > 1:
                return None
            ((sign, state),) = after.items()
            left += sign
        return left

    def _state(self, written: tuple[int, ...]) -> "_State":
        """Where a text is."""
        known = len(written)
        while known and written[:known] not in self._seen:
            known -= 1
        state = self._seen[written[:known]] if known else self._started
        for position in range(known, len(written)):
            moves = self._live_moves(state)
            if written[position] not in moves:
                raise ValueError(
                    f"token {written[position]} at position {position} continues no plan of the grammar"
                )
            state = moves[written[position]]
        if len(self._seen) >= _MOST_SEEN:
            self._seen.clear()
        self._seen[written] = state
        return state

    def _live_moves(self, state: "_State") -> dict[int, "_State"]:
        if state not in self._moves:
            reach = self._reached(state)
            self._moves[state] = {token: then for token, then in reach.items() if self._ends(then)}
        return self._moves[state]

    def _ends(self, state: "_State") -> bool:
        """Whether some tokens lead from here to the next place."""
        path = [] if state in self._dead else [state]
        while path:
            # Where a place begins there is a way to its end: `Grammar` has tried the tokenizer on the language.
            if not path[-1].written or path[-1] in self._live:
                self._live.update(path)
                return True
            onward = next((s for s in self._reached(path[-1]).values() if s not in self._dead), None)
            if onward is None:
                self._dead.add(path.pop())
            else:
                path.append(onward)
        return False

    def _reached(self, state: "_State") -> dict[int, "_State"]:
        if state not in self._reach:
            found: dict[int, _State] = {}
            walks = [(self._vocabulary, state)]
            while walks:
                node, here = walks.pop()
                found.update(dict.fromkeys(node.tokens, here))
                for sign, then in self._language.steps(here).items():
                    if sign in node.children:
                        walks.append((node.children[sign], then))
            self._reach[state] = found
        return self._reach[state]


class _State(NamedTuple):
    place: Place
    written: str


_ENDED: Final = _State(ENDED, "")


def _begun(place: Place, choices: Mapping[str, Place]) -> dict[str, dict[str, _State]]:
    """For all that the choices begin with, the characters that go on with it."""
    found: dict[str, dict[str, _State]] = {"": {}}
    for text, after in choices.items():
        for end in range(1, len(text)):
            found[text[: end - 1]][text[end - 1]] = _State(place, text[:end])
            found.setdefault(text[:end], {})
        found[text[:-1]][text[-1]] = _State(after, "")
    return found


class _Place(NamedTuple):
    """Entry `at` of list `part`; `steps` is known from the second list on."""

    part: str
    steps: int
    at: int


@dataclass(frozen=True)
class _Lists(Language):
    """Canonical plans. `last` are the ids that may end a plan; `later` tells a later round."""

    ids: tuple[str, ...]
    last: tuple[str, ...]
    subtasks: tuple[str, ...]
    max_steps: int
    later: bool

    @property
    def start(self) -> Place:
        """The first number."""
        return _Place(_IDS, 0, 0)

    def choices_at(self, place: Place) -> Iterator[tuple[str, Place]]:
        """The entries of the lists, one after the other."""
        part, steps, at = cast("_Place", place)
        if part == _IDS:
            head = "" if at else f"{_IDS} = ["
            for ordinal in self.last:
                yield f"{head}{ordinal}]\n{_SUBTASKS} = [", _Place(_SUBTASKS, at + 1, 0)
            for ordinal in self.ids if at + 1 < self.max_steps else ():
                yield f"{head}{ordinal}, ", _Place(_IDS, 0, at + 1)
            if self.later and not at:
                yield "\n".join(f"{label} = []" for label in LISTS), ENDED
        elif part == _SUBTASKS:
            more = at + 1 < steps
            tail = ", " if more else f"]\n{_ACCESS} = ["
            then = _Place(_SUBTASKS, steps, at + 1) if more else _Place(_ACCESS, steps, 0)
            yield from ((f"{quoted(subtask)}{tail}", then) for subtask in self.subtasks)
        elif part == _ACCESS:
            more = at + 1 < steps
            after = _Place(_ACCESS, steps, at + 1) if more else ENDED
            reads = (
                ("[]", f'["{ALL}"]') if at or self.later else ("[]",)
            )  # a first step has nothing to read
            yield from ((f"{access}{', ' if more else ']'}", after) for access in reads)

    def samples(self) -> Iterator[str]:
        """Plans in which every id, every subtask and both access lists occur."""
        for first in range(max(len(self.ids), len(self.subtasks))):
            ids = list(islice(cycle(self.ids), first, first + self.max_steps - 1))
            ids.append(self.last[first % len(self.last)])
            asked = islice(cycle(self.subtasks), first, None)
            reads: Iterator[Access] = cycle(((), ALL))
            yield Workflow(tuple(map(Step, ids, asked, reads))).to_text({int(n): n for n in self.ids})


@dataclass(slots=True)
class _Node:
    """The vocabulary as a tree of characters: the tokens that end here, and what goes on."""

    tokens: list[int] = field(default_factory=list)
    children: dict[str, "_Node"] = field(default_factory=dict)

    @classmethod
    def of(cls, tokenizer: Any) -> "_Node":
        """The tokens by what they add to a text: some tokenizers drop a space where a text begins."""
        anchor = tokenizer.encode(_IDS, add_special_tokens=False)[-1]
        ids = sorted(set(tokenizer.get_vocab().values()) - set(tokenizer.all_special_ids))
        before, *texts = tokenizer.batch_decode(
            [[anchor], *([anchor, token] for token in ids)], clean_up_tokenization_spaces=False
        )
        root = cls()
        for token, text in zip(ids, texts, strict=True):
            node = root
            for sign in text.removeprefix(before):
                node = node.children.setdefault(sign, cls())
            if node is not root:
                node.tokens.append(token)
        return root


def quoted(subtask: str) -> str:
    """The subtask as canonical texts quote it."""
    text = Workflow((Step("worker", subtask),)).to_text()
    return text.split("\n")[1].removeprefix(f"{_SUBTASKS} = [").removesuffix("]")

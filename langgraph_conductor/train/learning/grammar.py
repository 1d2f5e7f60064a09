"""Plans bound to a grammar while they are written, so that a policy in training cannot lose the format.

The plans are the canonical texts (`Workflow.to_text`): the paper's three lists, with the offered ordinals, a menu
of subtasks, and access lists that grant nothing or everything. The vocabulary is laid over the grammar's
characters: a plan may be cut into tokens in any way the tokenizer has tokens for, and any tokenizer will do.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import cycle, islice
from typing import Any, Final, NamedTuple

from langgraph_conductor.dialect import LISTS
from langgraph_conductor.train.learning.asks import Ask
from langgraph_conductor.workflow import ALL, Access, Step, Workflow

_IDS, _SUBTASKS, _ACCESS = LISTS


class PlanGrammar:
    """The plans a policy may write, as a `constraint` of a trainer.

    Args:
        tokenizer: A tokenizer of transformers, with an end token (`eos_token_id`).
        subtasks: The menu: what a step may be asked.
        max_steps: Most steps of a plan.

    Raises:
        ValueError: If an argument does not fit, or the tokenizer has no end token.
    """

    def __init__(self, tokenizer: Any, subtasks: Iterable[str], max_steps: int = 5) -> None:
        self.subtasks = tuple(dict.fromkeys(subtasks))
        self.max_steps = max_steps
        if not self.subtasks:
            raise ValueError("the menu is empty; give at least one subtask")
        if max_steps < 1:
            raise ValueError(f"max_steps is at least 1, not {max_steps}")
        if tokenizer.eos_token_id is None:
            raise ValueError("the tokenizer has no end token, so a plan could never end; set `eos_token`")
        self._tokenizer = tokenizer
        self._literals = tuple(map(_literal, self.subtasks))
        self._vocabulary = _Node.of(tokenizer)
        self._known: dict[_Language, PlanWriting] = {}

    def __call__(self, ask: Ask) -> "PlanWriting":
        """What may be written where this is asked.

        Raises:
            ValueError: If the tokenizer has no tokens for a part of such a plan.
        """
        offered = ask.pool.ordinals
        language = _Language(
            ids=tuple(map(str, offered)),
            last=tuple(str(n) for n, name in offered.items() if ask.pool[name].may_be_last),
            subtasks=self._literals,
            max_steps=self.max_steps,
            later=ask.request(self.max_steps).may_accept,
        )
        if language not in self._known:
            writing = PlanWriting(language, self._vocabulary, self._tokenizer.eos_token_id)
            self._check(writing, language)
            self._known[language] = writing
        return self._known[language]

    def _check(self, writing: "PlanWriting", language: "_Language") -> None:
        for plan in self._samples(language):
            tokens = self._tokenizer.encode(plan, add_special_tokens=False)
            try:
                writing.allowed(tuple(tokens))
            except ValueError as error:
                raise ValueError(f"the tokenizer cannot write this plan:\n{plan}\n({error})") from None

    def _samples(self, language: "_Language") -> Iterator[str]:
        """Plans in which every id, every subtask and both access lists occur."""
        for first in range(max(len(language.ids), len(self.subtasks))):
            ids = list(islice(cycle(language.ids), first, first + self.max_steps - 1))
            ids.append(language.last[first % len(language.last)])
            asked = islice(cycle(self.subtasks), first, None)
            reads: Iterator[Access] = cycle(((), ALL))
            yield Workflow(tuple(map(Step, ids, asked, reads))).to_text({int(n): n for n in language.ids})


class PlanWriting:
    """One plan being written, as an automaton over tokens.

    A state is a place in the plan and what of the choice made there has been written. Only tokens from which the
    plan can be brought to an end are allowed, whatever else the tokenizer has no tokens for.
    """

    def __init__(self, language: "_Language", vocabulary: "_Node", end: int) -> None:
        self._language = language
        self._vocabulary = vocabulary
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
        state = _STARTED
        for position, token in enumerate(tokens):
            moves = self._live_moves(state)
            if token not in moves:
                raise ValueError(f"token {token} at position {position} continues no plan of the grammar")
            state = moves[token]
        return tuple(self._live_moves(state))

    def _live_moves(self, state: "_State") -> dict[int, "_State"]:
        if state not in self._moves:
            reach = self._reached(state)
            self._moves[state] = {token: then for token, then in reach.items() if self._ends(then)}
        return self._moves[state]

    def _ends(self, state: "_State") -> bool:
        """Whether some tokens lead from here to the end."""
        path = [] if state in self._dead else [state]
        while path:
            if path[-1] in self._live:
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
                for sign, child in node.children.items():
                    if (then := self._language.step(here, sign)) is not None:
                        walks.append((child, then))
            self._reach[state] = found
        return self._reach[state]


class _Place(NamedTuple):
    """Entry `at` of list `part`; `steps` is known from the second list on."""

    part: str
    steps: int
    at: int


class _State(NamedTuple):
    place: _Place
    written: str


_STARTED: Final = _State(_Place(_IDS, 0, 0), "")
_ENDED: Final = _State(_Place("", 0, 0), "")


@dataclass(frozen=True)
class _Language:
    """The plan texts. `subtasks` are literals, `last` the ids that may end a plan, `later` tells a later round."""

    ids: tuple[str, ...]
    last: tuple[str, ...]
    subtasks: tuple[str, ...]
    max_steps: int
    later: bool

    def step(self, state: _State, sign: str) -> _State | None:
        """The state after one more character; `None` if no plan goes on like that."""
        written = state.written + sign
        choices = self._choices(state.place)
        if written in choices:
            return _State(choices[written], "")
        return _State(state.place, written) if any(c.startswith(written) for c in choices) else None

    def _choices(self, place: _Place) -> dict[str, _Place]:
        if place not in self._known:
            self._known[place] = dict(self._choices_at(*place))
        return self._known[place]

    @cached_property
    def _known(self) -> dict[_Place, dict[str, _Place]]:
        return {}

    def _choices_at(self, part: str, steps: int, at: int) -> Iterator[tuple[str, _Place]]:
        """What may stand at a place, with the signs that follow it: so that none begins another."""
        if part == _IDS:
            head = "" if at else f"{_IDS} = ["
            for ordinal in self.last:
                yield f"{head}{ordinal}]\n{_SUBTASKS} = [", _Place(_SUBTASKS, at + 1, 0)
            for ordinal in self.ids if at + 1 < self.max_steps else ():
                yield f"{head}{ordinal}, ", _Place(_IDS, 0, at + 1)
            if self.later and not at:
                yield "\n".join(f"{label} = []" for label in LISTS), _ENDED.place
        elif part == _SUBTASKS:
            more = at + 1 < steps
            tail = ", " if more else f"]\n{_ACCESS} = ["
            then = _Place(_SUBTASKS, steps, at + 1) if more else _Place(_ACCESS, steps, 0)
            yield from ((f"{literal}{tail}", then) for literal in self.subtasks)
        elif part == _ACCESS:
            more = at + 1 < steps
            then = _Place(_ACCESS, steps, at + 1) if more else _ENDED.place
            reads = (
                ("[]", f'["{ALL}"]') if at or self.later else ("[]",)
            )  # a first step has nothing to read
            yield from ((f"{access}{', ' if more else ']'}", then) for access in reads)


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


def _literal(subtask: str) -> str:
    """The subtask as canonical texts quote it."""
    text = Workflow((Step("worker", subtask),)).to_text()
    return text.split("\n")[1].removeprefix(f"{_SUBTASKS} = [").removesuffix("]")

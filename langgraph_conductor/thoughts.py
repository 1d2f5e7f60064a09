"""Thinking aloud, told apart from the answer in a model's text, whole or as it comes.

Most servers send a model's reasoning apart from its text. Others, or those that were not told which model they
serve, leave it there, between marks of which every family of models has its own.
"""

import re
from typing import Final

_NAME: Final = r"(?:\w{1,16}[:_]){0,2}(?:ant)?(?:think|thinking|thoughts?|reasoning|scratchpad)"
_MARKS: Final = re.compile(
    rf"<(?P<open>{_NAME})(?:\s{{1,4}}\w{{1,20}}=[^<>\n]{{0,80}})?>|</(?P<close>{_NAME})\s{{0,4}}>"
    r"|(?P<open_thinking><\|(?:(?:begin_of|start)_)?(?:think|thinking|thought)\|>)"
    r"|(?P<close_thinking><\|(?:/|(?:end_of|end)_)(?:think|thinking|thought)\|>)"
    r"|(?P<open_mistral>\[THINK\])|(?P<close_mistral>\[/THINK\])"
    r"|(?P<open_kimi>◁think▷)|(?P<close_kimi>◁/think▷)"
    r"|(?P<open_gemma><\|channel>\s{0,2}thought\b\n?)|(?P<close_gemma><channel\|>)"
    r"|(?P<open_medgemma><unused94>(?:thought\n)?)|(?P<close_medgemma><unused95>)"
    r"|(?P<header>(?:<\|start\|>\w{0,20}\s?)(?:<\|message\|>|(?=<\|channel\|>))"
    r"|<\|channel\|>(?P<channel>\w{1,20})[^<\n]{0,80}(?:<\|constrain\|>[^<\n]{0,40})?<\|message\|>)"
    r"|(?P<end><\|(?:end|return|call)\|>)"
    r"|(?P<wrapper><\|(?:(?:begin|end)_of_(?:solution|box)|(?:start|end)_response)\|>)"
    r"|(?P<ticks>`{1,40}|~{3,40})",
    re.IGNORECASE,
)
"""Openings and closings by family; Harmony's headers and ends (gpt-oss); code, where marks are only spoken of."""

_BARE: Final = "analysis"
_BARE_END: Final = re.compile(r"assistant(?:final|(?P<again>analysis|commentary))")
"""Harmony of which a server has dropped the special tokens: `analysisWe are asked ... assistantfinal42`."""

_BEGUN: Final = re.compile(
    r"<\|?/?[\w:]{0,60}\|?(?:\s[^<>\n]{0,80})?|<\|channel>\s{0,2}\w{0,8}|\[/?[A-Za-z]{0,5}|◁/?\w{0,5}|`{1,40}|~{1,40}"
    r"|(?:<\|start\|>\w{0,20}\s?)?(?:<\|channel\|>[^<\n]{0,100})?(?:<\|constrain\|>[^<\n]{0,40})?(?:<\|?\w{0,12}\|?)?"
)
"""What a mark may begin with, at the end of what has come so far."""
_LONGEST: Final = 240
"""Characters of the longest beginning of a mark, and of the blanks before one that go with it."""
_AHEAD: Final = 2
"""Characters behind a closing mark that tell whether it is only spoken of."""
_FIRST_SIGNS: Final = "<[◁`~"
_ENDS_SENTENCE: Final = frozenset(".!?…:;)]}>|*\"'”’»。\uff01\uff1f")
_QUOTES: Final = frozenset("\"'“”‘’«»`")
_GOES_ON: Final = frozenset(".,;:!?)'\"`”’»")

Piece = str | None
"""A piece of the answer; `None` if all that was given before turns out to be thought."""


class Thoughts:
    """Leaves out of a text that comes in pieces what a model thinks aloud in it.

    A block of thoughts begins at the beginning of a line or right after another, so that a text which speaks of
    such marks keeps them, as it does in code and in quotes. One that is never closed reaches to the end. One that
    never began, since the chat template opened it in the prompt, reaches from the beginning to its closing mark.

    Args:
        strict: Whether a block may also begin within a line, outside of code and quotes: for text that has no
            reason to speak of such marks.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        self._held = ""  # what may be the beginning of a mark
        self._started = False  # whether anything was read
        self._inside = ""  # the family of the block
        self._after_other: list[str] | None = None  # what came after the closing mark of another family
        self._after_block = True
        self._blocks = 0
        self._harmony = False
        self._spoken_of: set[str] = set()  # families whose opening marks were only spoken of
        self._stray = False  # whether a closing mark came that closes nothing
        self._blank_line, self._quotes, self._before = True, 0, ""
        self._fence = self._ticks = ""
        self._margin = ""  # blanks before what may be a block

    def more(self, text: str, *, over: bool = False) -> list[Piece]:
        """What belongs to the answer, now that `text` has come.

        Args:
            text: The next piece.
            over: Whether it is the last one.
        """
        text, self._held = self._held + text, ""
        out: list[Piece] = []
        at = 0
        if not self._started and text:
            if not over and len(text) <= len(_BARE) and _BARE.startswith(text):
                self._held = text
                return out
            self._started = True
            if text.startswith(_BARE) and text[len(_BARE) : len(_BARE) + 1].isupper():
                self._inside, at = "bare", len(_BARE)
        end = len(text) if over else len(text) - self._begun(text)
        while found := self._next_mark(text, at, end):
            needs_next = (
                found.lastgroup != "ticks" and not self._inside and found.end() + _AHEAD > len(text)
            )
            if needs_next and not over and _family(found, "close"):
                end = found.start()
                break
            self._pass(text[at : found.start()], out)
            self._mark(found, text[found.end() : found.end() + _AHEAD], out)
            at = found.end()
        self._pass(text[at : max(at, end)], out)
        self._held = text[max(at, end) :]
        if over and self._inside:
            out += self._after_other or ()
        elif over:
            out.append(self._margin)
        return out

    def _begun(self, text: str) -> int:
        """How many characters at the end may be the beginning of a mark."""
        if self._inside == "bare":
            return min(len(text), 24)
        tail = text[-_LONGEST:]
        for at, sign in enumerate(tail):
            begins = sign in _FIRST_SIGNS and (sign not in "`~" or tail[at - 1 : at] != sign)
            if begins and _BEGUN.fullmatch(tail, at):
                return len(tail) - at
        return 0

    def _next_mark(self, text: str, at: int, end: int) -> re.Match[str] | None:
        found = (_BARE_END if self._inside == "bare" else _MARKS).search(text, at)
        return found if found and (found.start() < end or end == len(text)) else None

    def _mark(self, found: re.Match[str], following: str, out: list[Piece]) -> None:
        """Act on a mark."""
        opened, closed = _family(found, "open"), _family(found, "close")
        if self._inside:
            self._mark_inside(found, closed)
        elif found.lastgroup == "ticks":
            self._code(found[0])
            self._say(found[0], out)
        elif self._fence or self._ticks:
            self._spoken_of.update(filter(None, (opened, closed)))
            self._say(found[0], out)
        elif found["header"]:
            self._header(found, out)
        elif opened and self._opens():
            self._begin(opened)
        elif closed and closed not in self._spoken_of and self._closes(following):
            self._stray = True
            if not self._blocks:
                out.append(None)
                self._stray = False
            self._end_block()
        elif not ((found["end"] and self._harmony) or (found["wrapper"] and self._blocks)):
            self._spoken_of.update(filter(None, (opened,)))
            self._say(found[0], out)

    def _mark_inside(self, found: re.Match[str], closed: str) -> None:
        if self._inside == "bare":
            if not found["again"]:
                self._end_block()
            return
        ends = found["end"] if self._inside == "harmony" else closed == self._inside
        if ends or (found["header"] and _is_final(found)):
            self._end_block()
        elif closed:
            self._after_other = []
        elif self._after_other is not None:
            self._after_other.append(found[0])

    def _header(self, found: re.Match[str], out: list[Piece]) -> None:
        """A message of Harmony begins: thought, unless it goes to the channel `final`."""
        if _is_final(found):
            if not self._after_block:
                out.append(None)  # what came before was a thought, begun in the prompt
            self._end_block()
        elif found["channel"]:
            self._begin("harmony")
        self._harmony = True

    def _opens(self) -> bool:
        return self._blank_line or (self._strict and self._quotes % 2 == 0)

    def _closes(self, following: str) -> bool:
        """Whether a closing mark outside of a block ends one that began in the prompt; else it is spoken of."""
        if self._blank_line:
            return True
        then = following[:1]
        if self._quotes % 2 or then in _GOES_ON:
            return False
        last, before = self._before[-1:], self._before[:-1]
        if last in _QUOTES and then in _QUOTES:
            return False
        if not last.isspace() or before in _ENDS_SENTENCE:
            return True
        return bool(then) and not (then == " " and following[1:].islower())  # "the tag </think> ends it"

    def _begin(self, family: str) -> None:
        self._inside, self._after_other = family, None
        self._margin = ""
        self._blocks += 1

    def _end_block(self) -> None:
        self._inside, self._after_other = "", None
        self._blocks += 1
        self._after_block = self._blank_line = True
        self._quotes, self._before, self._margin = 0, "", ""
        self._fence = self._ticks = ""

    def _pass(self, text: str, out: list[Piece]) -> None:
        """Go over text without marks."""
        if not text:
            return
        if self._inside:
            if self._after_other is not None:
                self._after_other.append(text)
            return
        self._say(text, out)

    def _say(self, text: str, out: list[Piece]) -> None:
        """Give a piece of the answer, and keep in mind how its line begins."""
        text = self._margin + text
        line = text.rfind("\n")
        rest = text[line + 1 :]
        held = 0
        if self._after_block and (not text or text.isspace()):
            held = len(text)
        elif (line >= 0 or self._blank_line) and (not rest or rest.isspace()):
            held = len(rest)
        if held > _LONGEST:
            held = 0
        self._margin, text = text[len(text) - held :], text[: len(text) - held]
        blank = not text or text.isspace()
        if not blank:
            if self._stray:
                self._stray = False
                out.append(None)
            self._after_block = False
        out.append(text)
        if line >= 0:
            self._blank_line, self._quotes, self._ticks = True, 0, ""
        self._blank_line = self._blank_line and (not rest or rest.isspace())
        self._quotes += rest.count('"')
        self._before = (self._before + text)[-2:]

    def _code(self, run: str) -> None:
        """Code begins or ends."""
        if self._fence:
            if self._blank_line and run.startswith(self._fence):
                self._fence = ""
        elif self._blank_line and len(run) >= 3:
            self._fence = run
        elif run[0] == "`":
            self._ticks = "" if run == self._ticks else self._ticks or run


def _family(found: re.Match[str], kind: str) -> str:
    """The family whose opening (`"open"`) or closing (`"close"`) mark it is, or none."""
    group = found.lastgroup or ""
    if not group.startswith(kind):
        return ""
    return (found[kind] or group.removeprefix(f"{kind}_")).lower()


def _is_final(header: re.Match[str]) -> bool:
    """Whether a message of Harmony is an answer: one to the channel `final`, or without channels."""
    channel = header["channel"]
    return channel.lower() == "final" if channel else header[0].lower().endswith("<|message|>")


def drop_thinking(text: str, *, strict: bool = False) -> str:
    """`text` without the blocks in which a model thinks aloud, such as `<think>...</think>`.

    Args:
        text: All that the model wrote.
        strict: As in `Thoughts`.
    """
    kept: list[str] = []
    for piece in Thoughts(strict=strict).more(text, over=True):
        if piece is None:
            kept.clear()
        else:
            kept.append(piece)
    return "".join(kept)

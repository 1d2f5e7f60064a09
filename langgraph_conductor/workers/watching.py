"""Sees what goes on below a step or planner while it runs: tools, and the tokens of models that stream."""

import json
import re
import time
from collections.abc import Callable, Sequence
from threading import RLock
from typing import Any, Final
from uuid import UUID

from langchain_core.messages import BaseMessage
from langgraph.constants import TAG_NOSTREAM
from langgraph.errors import GraphBubbleUp

from langgraph_conductor.prompts import text_of
from langgraph_conductor.records import ToolRecord
from langgraph_conductor.replies import storable
from langgraph_conductor.thoughts import Piece, Thoughts
from langgraph_conductor.workers.failures import told
from langgraph_conductor.workers.redaction import Unspoken, hidden

_ESCAPED: Final = re.compile(r"\\(?:u0000|.)")
_HIGH: Final = re.compile("[\ud800-\udbff]")
MOST_CHARS: Final = 2_000
"""Most characters of what a tool was given, and of what it gave, in a record."""

Tell = Callable[[str, dict[str, Any]], None]
"""Is told what happens: `"token"` (text), `"tokens_retracted"` (why), `"tool_started"`, `"tool_finished"`."""


class Watcher:
    """Records tool calls, and tells of them and of tokens; its methods are those of LangChain's handlers.

    Args:
        tell: Is told of each.
        secrets: Keys, to be kept out of what is told.
        tokens: Whether to tell of tokens.
        one_voice: Whether calls are made one after another, so that one that begins takes the place of all before.
    """

    def __init__(
        self,
        tell: Tell,
        secrets: Sequence[str] = (),
        *,
        tokens: bool = False,
        one_voice: bool = False,
    ) -> None:
        self.tools: list[ToolRecord] = []
        self.tokens = tokens
        self._tell, self._secrets = tell, secrets
        self._running: dict[UUID, tuple[ToolRecord, float]] = {}
        self._speaking: dict[UUID | None, _Speech] = {}
        self._one_voice = one_voice
        self._left: set[UUID | None] = set()
        self._voices: set[UUID | None] = set()
        """The calls that speak and were told of."""
        self._told: list[str] = []
        """The tokens told since the last retraction."""
        self._lock = RLock()

    def on_tool_start(
        self,
        serialized: dict[str, Any] | None,
        input_str: str,
        *,
        run_id: UUID,
        inputs: dict[str, Any] | None = None,
        name: str | None = None,
        **_: Any,
    ) -> None:
        """A tool is called."""
        record = ToolRecord(
            tool=storable(name or str((serialized or {}).get("name") or "tool")),
            input=self._shown(input_str if inputs is None else _as_json(inputs)),
            output="",
            error="",
            started_at=time.time(),
            seconds=0.0,
        )
        with self._lock:
            self._running[run_id] = record, time.perf_counter()
        self._tell("tool_started", {**record})

    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        """It has given something."""
        self._ended(run_id, output=self._shown(_text(output)))

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """It has failed; or it has only paused, to ask a person, and is called again."""
        if isinstance(error, GraphBubbleUp):
            with self._lock:
                self._running.pop(run_id, None)
            return
        self._ended(run_id, error=self._shown(f"{type(error).__name__}: {told(error, self._secrets)}"))

    def _ended(self, run_id: UUID, *, output: str = "", error: str = "") -> None:
        with self._lock:
            if run_id not in self._running:
                return
            begun, clock = self._running.pop(run_id)
            seconds = time.perf_counter() - clock
            record: ToolRecord = {**begun, "output": output, "error": error, "seconds": seconds}
            self.tools.append(record)
        self._tell("tool_finished", {**record})

    def on_llm_new_token(
        self,
        token: Any,
        *,
        chunk: Any = None,
        run_id: UUID | None = None,
        tags: list[str] | None = None,
        **_: Any,
    ) -> None:
        """A model that streams has said a little more."""
        if not self.tokens or TAG_NOSTREAM in (tags or ()):
            return
        message = getattr(chunk, "message", None)
        text = (
            str(message.text)
            if isinstance(message, BaseMessage)
            else token
            if isinstance(token, str)
            else ""
        )
        if text:
            with self._lock:
                if run_id in self._left:
                    return
                if self._one_voice and run_id not in self._speaking and self._speaking:
                    self._left.update(self._speaking)  # calls that were given up and go on in a thread
                    self.retract()
                speech = self._speaking.setdefault(run_id, _Speech(self._secrets))
                self._tell_pieces(run_id, speech.more(text))

    def on_llm_over(self, run_id: UUID, *, failed: bool = False) -> None:
        """A model call is over.

        Args:
            run_id: The call.
            failed: Whether it failed, so that what it said counts no more.
        """
        with self._lock:
            speech = self._speaking.pop(run_id, None)
            if speech and not failed:
                self._tell_pieces(run_id, speech.more("", over=True))
            spoke = run_id in self._voices
            self._voices.discard(run_id)
            if failed and spoke and not self._voices:
                self._retract("failed")

    def retract(self) -> None:
        """The work begins anew, or ends without a result: void what was told of it so far."""
        with self._lock:
            self._retract("failed")
            self._speaking.clear()
            self._voices.clear()

    def finish(self, text: str) -> None:
        """The work is over: see that the tokens told since the last retraction are its text.

        Args:
            text: What it gave; empty if it failed.
        """
        if not self.tokens:
            return
        with self._lock:
            self._speaking.clear()
            self._voices.clear()
            told = "".join(self._told)
            if told and not (text and text.startswith(told)):
                self._retract("replaced" if text else "failed")
                told = ""
            self._tell_text(text[len(told) :])

    def _tell_pieces(self, run_id: UUID | None, pieces: list[Piece]) -> None:
        for piece in pieces:
            if piece is None:
                self._retract("replaced")
                continue
            # One call after another, as an agent's and those of a repair: what the earlier one said was no answer.
            if self._told and not self._voices:
                self._retract("replaced")
            self._voices.add(run_id)
            self._tell_text(piece)

    def _tell_text(self, text: str) -> None:
        if text:
            self._told.append(text)
            self._tell("token", {"text": text})

    def _retract(self, reason: str) -> None:
        if self._told:
            self._told.clear()
            self._tell("tokens_retracted", {"reason": reason})

    def _shown(self, text: str) -> str:
        text = storable(hidden(text, self._secrets))
        return text if len(text) <= MOST_CHARS else f"{text[:MOST_CHARS]} [...]"


class _Speech:
    """What one model call says aloud: no thoughts, no keys, no blanks at either end.

    Args:
        secrets: The keys.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = secrets
        self._thoughts = Thoughts()
        self._begin()

    def _begin(self) -> None:
        self._unspoken = Unspoken(self._secrets)
        self._begun = False
        self._blanks: list[str] = []
        self._half = ""

    def more(self, text: str, *, over: bool = False) -> list[Piece]:
        """What can be told once `text` has come; `None` in it voids all that came before."""
        told: list[Piece] = []
        for piece in self._thoughts.more(text, over=over):
            if piece is None:
                told = [None] if self._begun else []
                self._begin()
            else:
                told.append(self._trimmed(self._unspoken.more(piece)))
        if over:
            told.append(self._trimmed(self._unspoken.rest(), over=True))
        return [piece for piece in told if piece != ""]

    def _trimmed(self, text: str, *, over: bool = False) -> str:
        text, self._half = self._half + text, ""
        if text and _HIGH.match(text[-1]) and not over:  # the other half comes with the next piece
            text, self._half = text[:-1], text[-1]
        if not self._begun:
            text = text.lstrip()
        body = text.rstrip() if "\n" in text[len(text.rstrip()) :] else text
        if not body or body.isspace():
            if text:
                self._blanks.append(text)
            return ""
        before, self._blanks, self._begun = "".join(self._blanks), [text[len(body) :]], True
        return storable(before + body)


def _text(output: Any) -> str:
    content = getattr(output, "content", output)
    if isinstance(content, list):
        return text_of(block for block in content if isinstance(block, dict)) or _as_json(content)
    return content if isinstance(content, str) else _as_json(content)


def _as_json(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):  # keys that are no text, or a value that holds itself
        return str(value)
    return _ESCAPED.sub(
        lambda one: "\ufffd" if one[0] == "\\u0000" else one[0], text
    )  # NUL, as in `storable`

"""Sees what goes on below a step or planner while it runs: tools, and the tokens of models that stream."""

import json
import re
import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, Final
from uuid import UUID

from langchain_core.messages import BaseMessage
from langgraph.errors import GraphBubbleUp

from langgraph_conductor.prompts import text_of
from langgraph_conductor.records import ToolRecord
from langgraph_conductor.replies import storable
from langgraph_conductor.workers.failures import told
from langgraph_conductor.workers.redaction import Unspoken, hidden

_ESCAPED: Final = re.compile(r"\\(?:u0000|.)")
MOST_CHARS: Final = 2_000
"""Most characters of what a tool was given, and of what it gave, in a record."""

Tell = Callable[[str, dict[str, Any]], None]
"""Is told what happens: `"token"` (text), `"tool_started"` or `"tool_finished"` (a `ToolRecord`)."""


class Watcher:
    """Records tool calls, and tells of them and of tokens; its methods are those of LangChain's handlers.

    Args:
        tell: Is told of each.
        secrets: Keys, to be kept out of what is told.
        tokens: Whether to tell of tokens.
    """

    def __init__(self, tell: Tell, secrets: Sequence[str] = (), *, tokens: bool = False) -> None:
        self.tools: list[ToolRecord] = []
        self._tell, self._secrets, self._tokens = tell, secrets, tokens
        self._running: dict[UUID, tuple[ToolRecord, float]] = {}
        self._speaking: dict[UUID | None, Unspoken] = {}
        self._lock = Lock()

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
        self, token: Any, *, chunk: Any = None, run_id: UUID | None = None, **_: Any
    ) -> None:
        """A model that streams has said a little more."""
        if not self._tokens:
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
                said = self._speaking.setdefault(run_id, Unspoken(self._secrets)).more(text)
            self._tell_token(said)

    def on_llm_over(self, run_id: UUID) -> None:
        """A model that streams has said all, or has failed."""
        with self._lock:
            speaking = self._speaking.pop(run_id, None)
        self._tell_token(speaking.rest() if speaking else "")

    def _tell_token(self, text: str) -> None:
        if text:
            self._tell("token", {"text": storable(text)})

    def _shown(self, text: str) -> str:
        text = storable(hidden(text, self._secrets))
        return text if len(text) <= MOST_CHARS else f"{text[:MOST_CHARS]} [...]"


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

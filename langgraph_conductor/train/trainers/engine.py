"""One model in this process that answers many requests in one batch, each with its adapter.

It takes the place of a server while training: the workers of the small proof run here, on the trainer's device.
"""

import asyncio
import hashlib
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, NamedTuple

import torch
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import ConfigDict, Field

from langgraph_conductor.special_tokens import special_tokens_of, without_special_tokens
from langgraph_conductor.train.trainers.decoding import Writing, decode

BASE: Final = ""
"""The model without an adapter."""

_MOST_KNOWN: Final = 200_000
_ROLES: Final = {"system": "system", "human": "user", "ai": "assistant"}


class _Request(NamedTuple):
    adapter: str
    prompt: tuple[int, ...]
    max_tokens: int
    bound: Writing | None
    reply: "Future[tuple[int, ...]]"


class Engine:
    """Answers requests greedily, in batches of one adapter each.

    Args:
        model: A causal language model of transformers.
        tokenizer: Its tokenizer, with a chat template.
        adapters: Folders of PEFT adapters, by name.
        rows: Most requests of a batch.
        wait: Seconds a request waits for others to be answered with.
        threads: CPU threads; PyTorch's own number if left out.
        kept: A file of replies (SQLite) to the same model, read at first and added to.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        adapters: Mapping[str, Path],
        *,
        rows: int = 64,
        wait: float = 0.05,
        threads: int | None = None,
        kept: Path | None = None,
    ) -> None:
        from peft import PeftModel

        self._model: Any = model
        for name, folder in adapters.items():
            options = {"adapter_name": name, "autocast_adapter_dtype": False}
            if isinstance(self._model, PeftModel):
                self._model.load_adapter(str(folder), **options)
            else:
                self._model = PeftModel.from_pretrained(model, str(folder), **options)
        self._model.eval()
        self.versions = {name: _digest(folder) for name, folder in adapters.items()}
        self.adapters = frozenset(adapters)
        self.tokenizer = tokenizer
        self._rows, self._wait, self._threads = rows, wait, threads
        # Greedy replies to the same prompt are the same; workers under other names are sent the same prompts.
        self._kept = sqlite3.connect(kept or ":memory:", timeout=60, check_same_thread=False)
        self._kept.execute("CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, tokens TEXT)")
        self._known: dict[str, tuple[int, ...]] = {
            key: tuple(json.loads(tokens))
            for key, tokens in self._kept.execute("SELECT key, tokens FROM replies LIMIT ?", [_MOST_KNOWN])
        }
        self._closed = False
        self._requests: SimpleQueue[_Request | None] = SimpleQueue()
        self._thread = Thread(target=self._serve, name="engine", daemon=True)
        self._thread.start()

    def ask(
        self,
        adapter: str,
        messages: Sequence[BaseMessage],
        max_tokens: int,
        bound: Writing | None = None,
    ) -> "Future[tuple[int, ...]]":
        """The tokens of the reply, when they are there. What is bound is not kept.

        Raises:
            ValueError: If there is no such adapter.
        """
        if adapter and adapter not in self.adapters:
            raise ValueError(
                f"there is no adapter {adapter!r}; there are {', '.join(sorted(self.adapters))}"
            )
        if self._closed:
            raise ValueError("the engine is closed")
        reply: Future[tuple[int, ...]] = Future()
        reply.set_running_or_notify_cancel()  # who waits for it may go away; it is answered all the same
        request = _Request(adapter, self.tokens(messages), max_tokens, bound, reply)
        known = None if bound else self._known.get(self._key(request))
        if known is None:
            self._requests.put(request)
        else:
            reply.set_result(known)
        return reply

    def tokens(self, messages: Sequence[BaseMessage]) -> tuple[int, ...]:
        """The messages in the model's template, as tokens."""
        return tuple(
            self.tokenizer(prompt_text(self.tokenizer, messages), add_special_tokens=False)["input_ids"]
        )

    def close(self) -> None:
        """Answer what waits, and end."""
        if not self._closed:
            self._closed = True
            self._requests.put(None)
            self._thread.join()
            self._kept.close()

    def _serve(self) -> None:
        if self._threads:
            torch.set_num_threads(self._threads)
        waiting: list[_Request] = []
        closing = False
        while waiting or not closing:
            closing |= self._gather(waiting, block=not closing)
            if waiting:
                kinds = Counter((one.adapter, one.bound is None) for one in waiting)
                kind = kinds.most_common(1)[0][0]
                batch = [one for one in waiting if (one.adapter, one.bound is None) == kind][: self._rows]
                waiting = [one for one in waiting if one not in batch]
                self._answer(kind[0], batch)

    def _gather(self, waiting: list[_Request], *, block: bool) -> bool:
        """Take what has come in, for a while after the first of it; whether the end was asked for."""
        end = time.monotonic() + self._wait
        while True:
            try:
                left = end - time.monotonic()
                nothing = not waiting and block
                request = (
                    self._requests.get(timeout=None if nothing else max(left, 0))
                    if left > 0 or nothing
                    else self._requests.get_nowait()
                )
            except Empty:
                return False
            if request is None:
                return True
            if not waiting:
                end = time.monotonic() + self._wait
            waiting.append(request)

    def _answer(self, adapter: str, batch: Sequence[_Request]) -> None:
        try:
            if adapter:
                self._model.set_adapter(adapter)
                written = self._decode(batch)
            elif self.adapters:
                with self._model.disable_adapter():
                    written = self._decode(batch)
            else:
                written = self._decode(batch)
            replies = {
                self._key(one): tokens
                for one, tokens in zip(batch, written, strict=True)
                if one.bound is None
            }
            with self._kept:
                rows = [(key, json.dumps(tokens)) for key, tokens in replies.items()]
                self._kept.executemany("INSERT OR IGNORE INTO replies VALUES (?, ?)", rows)
        except BaseException as error:  # noqa: BLE001 - raised where the reply is asked for
            for one in batch:
                one.reply.set_exception(error)
            return
        self._known |= replies
        while len(self._known) > _MOST_KNOWN:
            del self._known[next(iter(self._known))]
        for one, tokens in zip(batch, written, strict=True):
            one.reply.set_result(tokens)

    def _key(self, request: _Request) -> str:
        told = (self.versions.get(request.adapter, ""), request.prompt, request.max_tokens)
        return hashlib.sha256(repr(told).encode()).hexdigest()[:32]

    def _decode(self, batch: Sequence[_Request]) -> list[tuple[int, ...]]:
        most = max(one.max_tokens for one in batch)
        written = decode(
            self._model,
            [one.prompt for one in batch],
            end=self.tokenizer.eos_token_id,
            max_tokens=most,
            bounds=[one.bound for one in batch if one.bound] or None,
        )
        return [tokens[: one.max_tokens] for one, tokens in zip(batch, written, strict=True)]


class EngineModel(BaseChatModel):
    """A chat model that an `Engine` answers.

    Args:
        engine: The engine.
        adapter: The adapter; the model itself if empty.
        max_tokens: Most tokens of a reply.
        version: Tells models of one adapter's name apart, for kept replies: a hash of its weights.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    engine: Any = Field(exclude=True, repr=False)
    adapter: str = BASE
    max_tokens: int = 40
    version: str = ""

    @property
    def _llm_type(self) -> str:
        return "engine"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"adapter": self.adapter, "max_tokens": self.max_tokens, "version": self.version}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self._said(messages, self._ask(messages, stop).result())

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        # Not by LangChain's way over threads: there are few of them, and so would be the rows of a batch.
        return self._said(messages, await asyncio.wrap_future(self._ask(messages, stop)))

    def _ask(self, messages: list[BaseMessage], stop: list[str] | None) -> "Future[tuple[int, ...]]":
        if stop:
            raise ValueError(f"the engine knows no stop words, and was given {', '.join(stop)}")
        return self.engine.ask(self.adapter, messages, self.max_tokens)  # type: ignore[no-any-return]

    def _said(self, messages: list[BaseMessage], tokens: tuple[int, ...]) -> ChatResult:
        text = self.engine.tokenizer.decode(tokens, skip_special_tokens=True)
        sent, said = len(self.engine.tokens(messages)), len(tokens)
        used = UsageMetadata(input_tokens=sent, output_tokens=said, total_tokens=sent + said)
        return ChatResult(generations=[ChatGeneration(message=AIMessage(text, usage_metadata=used))])


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()[:12]


def prompt_text(tokenizer: Any, messages: Sequence[BaseMessage]) -> str:
    """The messages in the model's own template, up to where the reply begins.

    Special tokens are found in the whole text, so no message may spell one.
    """
    special = special_tokens_of(tokenizer)
    turns = [
        {"role": _ROLES[message.type], "content": without_special_tokens(str(message.text), special)}
        for message in messages
    ]
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

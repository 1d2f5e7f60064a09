"""Hears of answers that LangChain's cache gave, for which no provider was asked.

LangChain tells callbacks of such an answer as of any other, and what it marks it with (`total_cost` 0, or no id) a
provider that gives its calls away, or a proxy, may say as well. What it does for hits alone, with the callbacks of
the call at hand, is to replay the answer as events: so that is what is listened to. Should a later LangChain do it
in another way, its answers count as calls, which keeps budgets, and a test says what has moved.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel


class HitHandler(BaseCallbackHandler):
    """A handler that is also told of hits."""

    def on_cache_hit(self, run_id: UUID) -> None:
        """The answer of a call is the cache's: it comes between the call's start and its end."""
        raise NotImplementedError


def _heard(replay: Callable[..., Any]) -> Callable[..., Any]:
    """What replays a hit, and tells of it."""

    # It may be a function or a coroutine's: either way it begins with this call.
    @wraps(replay)
    def told(model: BaseChatModel, generations: Any, *, run_manager: Any = None, **options: Any) -> Any:
        for handler in getattr(run_manager, "handlers", ()):
            if isinstance(handler, HitHandler):
                handler.on_cache_hit(run_manager.run_id)
        return replay(model, generations, run_manager=run_manager, **options)

    return told


REPLAYS = ("_replay_v2_events_for_cache_hit", "_areplay_v2_events_for_cache_hit")
for _name in REPLAYS:
    if _replay := getattr(BaseChatModel, _name, None):
        setattr(BaseChatModel, _name, _heard(_replay))

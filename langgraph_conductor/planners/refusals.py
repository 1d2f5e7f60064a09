"""Whether a provider refused a plan under a schema, and so may give one as plain text."""

import json
import re
from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from langgraph_conductor.containment import said
from langgraph_conductor.errors import ConductorError
from langgraph_conductor.workers.error_bodies import bodies, http_status, status_in
from langgraph_conductor.workers.exception_groups import causes

_OF_SCHEMA: Final = re.compile(
    r"response[ _-]?(?:format|schema|mime)|json[ _-]?(?:schema|mode|object)|structured[ _-]?(?:output|generation)"
    r"|\bguided|grammar|\bschema|output[ _](?:config|format)|text\.format|too many states|xgrammar|outlines"
    r"|\bstrict\b|requested parameters|tool[ _]?choice|function call"
    r"|\btools?\b[^.\n]{0,40}\bsupport|\bsupport[^.\n]{0,40}\btools?\b",
    re.IGNORECASE,
)
_OF_OTHER_THINGS: Final = re.compile(
    r"context[ _](?:length|window)|maximum[^.\n]{0,60}tokens|token (?:count|limit)|rate[ _-]?limit"
    r"|(?:prompt|input|request)[^.\n]{0,30}too (?:long|large)|billing|credit|quota|balance|payment|api[ _-]?key"
    r"|unauthori[sz]ed|authenticat|permission|content[ _](?:filter|policy|management)|safety|overloaded|capacity",
    re.IGNORECASE,
)
_REFUSALS: Final = frozenset({400, 404, 405, 406, 415, 422, 500, 501})
"""Statuses of a refusal; servers of one's own say 500 where a grammar cannot be compiled."""


def refuses_schema(error: Exception) -> bool:
    """Whether a request failed for the sake of its schema: its client did not send it, or its provider refused it.

    Clients such as openai's, beside tools of one's own, tell it by Python's own exceptions.
    """
    if is_about_schema(error):
        return True
    local = isinstance(error, TypeError | ValueError | NotImplementedError) and _status(error) is None
    told = isinstance(error, ConductorError | json.JSONDecodeError | UnicodeError | ValidationError)
    body = error.args and isinstance(
        error.args[0], Mapping
    )  # what a provider said in a reply of status 200
    return local and not told and not body and not _OF_OTHER_THINGS.search(said(error))


def is_about_schema(error: Exception) -> bool:
    """Whether it says so itself, so that every request under a schema will fail."""
    if isinstance(error, ConductorError | UnicodeError | ValidationError | json.JSONDecodeError):
        return False
    statuses = [status for seen in causes(error) if (status := _status(seen)) is not None]
    if statuses and statuses[0] not in _REFUSALS:
        return False
    words = " ".join(map(_words, causes(error)))
    return bool(_OF_SCHEMA.search(words)) and not _OF_OTHER_THINGS.search(words)


def _words(error: BaseException) -> str:
    body = getattr(error, "body", None)
    return f"{said(error)} {body}" if isinstance(body, str | Mapping) else said(error)


def _status(error: BaseException) -> int | None:
    """The HTTP status of a failure, or what its body says in the place of one."""
    status = http_status(error)
    return status if status is not None else next(filter(None, map(status_in, bodies(error))), None)

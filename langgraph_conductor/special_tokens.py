"""Special tokens of models, such as `<|im_start|>`, spelled out in a text: kept from being read as such.

Whoever renders a chat template and has its tokens found in the whole text lets every message write them, and so
begin a message of another role. Servers of providers do this for themselves, or do not; where this package renders
(the embedded models, training), the spelling is broken by a backslash behind its first sign.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

_BAR: Final = "[|\uff5c]"  # DeepSeek writes full-width bars
_NAMES: Final = (
    r"/?s|/?(?:think|thinking|tool_call|tool_response|tools|bos|eos|pad|unk|mask|cls|sep)"
    r"|(?:start|end)_of_(?:turn|image|audio|text|message|role)|begin_of_(?:text|sentence)"
    r"|(?:repo_?name|file_sep|filename|gh_stars|empty_output|endoftext|seed:\w{1,20})"
    r"|(?:issue|jupyter|fim|commit|extra_id|unused|reserved)_?\w{1,20}"
)
_TOKENS: Final = re.compile(
    rf"(<)(?={_BAR}[^\n<>|\uff5c]{{1,64}}{_BAR}>|(?:{_NAMES})>|</?SYS>>)"
    r"|(\[)(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|THINK|ARGS|CALL_ID"
    r"|MASK|CLS|SEP|PAD|UNK|BOS|EOS|IMG|IMG_BREAK|IMG_END|PREFIX|MIDDLE|SUFFIX|gMASK|sMASK)\])",
    re.IGNORECASE,
)


def without_special_tokens(text: str, others: Iterable[str] = ()) -> str:
    r"""`text` in which no special token is spelled: `<|im_end|>` becomes `<\|im_end|>`.

    A text without one stays as it is.

    Args:
        text: The content of a message.
        others: Tokens of the model beside the usual ones.
    """
    text = _TOKENS.sub(lambda match: f"{match[0]}\\", text)
    found = tuple(
        sorted({token for token in others if len(token) > 1 and token in text}, key=len, reverse=True)
    )
    return _any_of(found).sub(lambda match: f"{match[0][0]}\\{match[0][1:]}", text) if found else text


@lru_cache(maxsize=64)
def _any_of(tokens: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, tokens)))


def special_tokens_of(tokenizer: Any) -> frozenset[str]:
    """The special tokens of a tokenizer of transformers, as they are spelled."""
    added = getattr(tokenizer, "added_tokens_decoder", None) or {}
    special = {str(token) for token in added.values() if getattr(token, "special", True)}
    return frozenset(special.union(getattr(tokenizer, "all_special_tokens", None) or ()))

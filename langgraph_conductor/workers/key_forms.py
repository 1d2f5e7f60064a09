"""What looks like a key: one table of the forms that keys have.

Every pattern takes time that grows with the text alone: where one may fail late, it can begin only where no
character of its kind stands before it, or its length is bounded.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, NamedTuple

from langgraph_conductor.workers.key_names import looks_random, names_key

HIDDEN: Final = "[redacted]"

_PREFIXES: Final[Mapping[str, str]] = {
    "github_pat_": "GitHub", "ghp_": "GitHub", "gho_": "GitHub", "ghu_": "GitHub", "ghs_": "GitHub",
    "ghr_": "GitHub", "glpat-": "GitLab", "gldt-": "GitLab", "glrt-": "GitLab", "xoxb-": "Slack",
    "xoxp-": "Slack", "xoxa-": "Slack", "xoxe-": "Slack", "xoxr-": "Slack", "xoxs-": "Slack", "xapp-": "Slack",
    "pplx-": "Perplexity", "nvapi-": "NVIDIA", "tvly-": "Tavily", "lsv2_": "LangSmith", "lsv2-": "LangSmith",
    "ls__": "LangSmith", "tgp_v1_": "Together", "esecret_": "Anyscale", "csk-": "Cerebras", "jina_": "Jina",
    "pcsk_": "Pinecone", "e2b_": "E2B", "npm_": "npm", "pypi-": "PyPI", "dckr_pat_": "Docker",
    "dop_v1_": "DigitalOcean", "shpat_": "Shopify", "whsec_": "Stripe", "figd_": "Figma", "ntn_": "Notion",
    "phc_": "PostHog", "GOCSPX-": "Google", "hvs.": "Vault", "vcp_": "Vercel",
    "sk-": "OpenAI, Anthropic, OpenRouter, DeepSeek, Langfuse", "sk_": "Stripe, ElevenLabs", "pk-": "Langfuse",
    "pk_": "Stripe", "rk-": "Stripe", "rk_": "Stripe", "gsk-": "Groq", "gsk_": "Groq", "xai-": "xAI",
    "xai_": "xAI", "hf-": "Hugging Face", "hf_": "Hugging Face", "r8-": "Replicate", "r8_": "Replicate",
    "co-": "Cohere", "fc-": "Firecrawl", "fw_": "Fireworks",
}  # fmt: skip
"""How keys begin, and whose they are."""

# Within what was quoted for a URL or as JSON, a letter stands before.
_START: Final = r"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrt]))"
_RUN: Final = r"(?:(?<![A-Za-z0-9_\-])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrt]))"
_SAYS: Final = (
    r"(?:\s{1,3}provided)?\\{0,2}[\"']?(?:\s{0,3}(?:=>|[=:])\s{0,3}|,\s?b?(?=[\"'])|%3[DdAa])\\{0,2}[\"']?"
)
_SCHEMES: Final = r"(?i:bearer|basic|token|apikey|digest)"
_VALUE: Final = r"[^\s\"'&,;<>()\[\]{}\\|]"
_KEYS: Final = (
    r"(?:api|access|secret|account|subscription|private|auth|signing|encryption|master)[-_ ]?key(?:[-_]?id)?"
    r"|(?<!public)(?<!primary)(?<!foreign)(?<!sort)(?<!cache)(?<!partition)(?<!idempotency)[-_]key"
    r"|(?<!unexpected )token|secret|credentials?|authorization|[-_]pat"
)


class KeyForm(NamedTuple):
    """A form of keys.

    Args:
        name: What has it.
        signs: One of them, in small letters, is in every text that has such a key; others need no search.
        pattern: Finds it; what is to go is its group `key`.
        is_one: Tells whether a match is one; all are, if left out.
    """

    name: str
    signs: tuple[str, ...]
    pattern: re.Pattern[str]
    is_one: Callable[[re.Match[str]], bool] = lambda _: True


def _has_digit(match: re.Match[str]) -> bool:  # else it is a word
    return any(sign.isdigit() or sign == "*" for sign in match["key"])


def _of_prefix(match: re.Match[str]) -> bool:
    # "sk-learn-version-2" and "hf_transformers_x" are words; of a key one part is long and has a digit.
    pieces = re.split(r"[-_]", match["key"].removeprefix(match["begin"]))
    return any(len(p) >= 8 and ("*" in p or any(map(str.isdigit, p))) for p in pieces) or (
        len(match["begin"]) > 3 and len(pieces[-1]) >= 16
    )


def _of_name(match: re.Match[str]) -> bool:
    value = match["key"]
    code = "." in value and not looks_random(value)  # settings2.api_key
    variable = re.fullmatch(r"\$\w+|%\w+%", value)
    number = value.isdigit() and len(value) < 12
    return _is_value(match) and not (code or variable or number)


def _is_value(match: re.Match[str]) -> bool:
    called = match.string[match.end() : match.end() + 1] in ("(", "[")  # get_token2(name)
    return _has_digit(match) and not called


def _of_basic(match: re.Match[str]) -> bool:
    value = match["key"].rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    try:
        return b":" in base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        return "*" in value or (len(value) > 16 and looks_random(value) and _has_digit(match))


def _of_query(match: re.Match[str]) -> bool:
    return names_key(match["name"], match["key"])


_BEGINNINGS: Final = "|".join(map(re.escape, sorted(_PREFIXES, key=len, reverse=True)))
_HOOKS: Final = r"hooks\.slack\.com/(?:services|workflows|triggers)|discord(?:app)?\.com/api/webhooks"


def _form(
    name: str, signs: str, pattern: str, is_one: Callable[[re.Match[str]], bool] = lambda _: True
) -> KeyForm:
    return KeyForm(name, tuple(signs.split()), re.compile(pattern), is_one)


KEY_FORMS: Final[tuple[KeyForm, ...]] = (
    _form("PEM, private", "-----begin",
          r"-----BEGIN (?P<key>[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-(?!----))*+"
          r"(?:-----END [A-Z0-9 ]{0,60}-----)?)"),
    _form("user and password of a URL", "://", r"(?<=://)(?P<key>[^\s/:@\"'<>]*:[^\s/\"'<>]+)(?=@)"),
    _form("token as user of a URL", "://", r"(?<=://)(?P<key>[A-Za-z0-9_\-]{16,}+)(?=@)", _has_digit),
    _form("JSON Web Token", "eyj", _RUN + r"(?P<key>eyJ[\w\-]{8,}+\.[\w\-]{8,}+\.[\w\-]*+)"),
    _form("a beginning of its own", " ".join(_PREFIXES).lower(),
          _START + rf"(?P<key>(?P<begin>{_BEGINNINGS})[A-Za-z0-9_\-*]{{12,}}+)", _of_prefix),
    _form("Google", "aiza ya29.", _START + r"(?P<key>AIza[A-Za-z0-9_\-]{20,}+|ya29\.[A-Za-z0-9_\-]{20,}+)"),
    _form("Amazon", "akia asia abia acca",
          _START + r"(?P<key>AKIA[A-Z0-9]{12,}+|(?:ASIA|ABIA|ACCA)"
          r"(?:[A-Z0-9]{16}(?![A-Za-z0-9])|(?=[A-Z]{0,20}[0-9])[A-Z0-9]{12,}))"),
    _form("Azure", "jqqj9 q~",
          r"(?<![A-Za-z0-9])(?P<key>[A-Za-z0-9]{52}JQQJ9[A-Za-z0-9]{27}"
          r"|[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.\-]{31,34})"),
    _form("SendGrid", "sg.", _START + r"(?P<key>SG\.[A-Za-z0-9_\-]{16,64}\.[A-Za-z0-9_\-]{16,64})"),
    _form("Telegram", ":", r"(?<![0-9])(?P<key>[0-9]{8,10}:[A-Za-z0-9_\-]{35})(?![A-Za-z0-9_\-])"),
    _form("webhook", "hooks", rf"(?:{_HOOKS})/(?P<key>[A-Za-z0-9_\-/]{{12,}}+)"),
    _form("query of a URL", "= %3d",
          r"(?i:[?&#]|\\u0026|%3F|%26)(?:amp;)?(?P<name>[A-Za-z0-9_.\-]{1,64})(?i:=|%3D)"
          r"(?P<key>(?:(?!%26|%3[Ff]|\\u0026)[^\s?&#\"'<>]){6,}+)", _of_query),
    _form("Cookie", "cookie", rf"(?i:cookie){_SAYS}(?P<key>[^\s=;,\"']{{1,64}}=[^\r\n\"'\\]{{6,}}+)"),
    _form("Bearer", "bearer", r"(?i:\bbearer)(?:\s{1,3}|%20|\+)(?P<key>[A-Za-z0-9_\-.*~+/]{6,}+=*)", _has_digit),
    _form("Basic", "basic", r"(?i:\bbasic)(?:\s{1,3}|%20|\+)(?P<key>[A-Za-z0-9_\-*+/]{6,}+=*)", _of_basic),
    _form("name", "key token secret credential authorization pat",
          rf"(?i:{_KEYS}){_SAYS}(?:{_SCHEMES}\s{{1,3}})?(?!{_SCHEMES}\s)(?P<key>{_VALUE}{{6,}}+)", _of_name),
    _form("password", "passw passphrase pwd",
          rf"(?i:passw(?:or)?d|passphrase|pwd){_SAYS}(?P<key>{_VALUE}{{6,}}+)", _is_value),
)  # fmt: skip
"""The forms, in the order in which they are looked for. Those without a sign of their own, such as Azure's older
keys of 32 digits, are known by the name they stand under."""


def without_forms(text: str) -> str:
    """`text` without what looks like a key."""
    small = text.lower()
    for form in KEY_FORMS:
        if any(sign in small for sign in form.signs):
            text = form.pattern.sub(partial(_put, form), text)
    return text


def _put(form: KeyForm, match: re.Match[str]) -> str:
    whole = match[0]
    if not form.is_one(match):
        return whole
    begin, end = (place - match.start() for place in match.span("key"))
    return f"{whole[:begin]}{HIDDEN}{whole[end:]}"

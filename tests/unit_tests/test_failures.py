"""What an error tells: whether it is an outage, whether it was billed, how long to wait, and no keys."""

import asyncio
import json
import time

import aiohttp
import anthropic
import httpx2
import openai
import pytest
from langchain_core.runnables import RunnableLambda
from langchain_openai import AzureChatOpenAI, ChatOpenAI

from langgraph_conductor import Worker, WorkerError, create_conductor
from langgraph_conductor.planners import fixed
from langgraph_conductor.testing import FakeProviders, ScriptedModel, faults
from langgraph_conductor.workers.failures import (
    error_record,
    is_outage,
    mark_broken_reply,
    redacted,
    retry_after,
    secrets_of,
    wait_before_retry,
    was_refused,
)
from tests.helpers import ScriptedPlanner, ask, flow


class Tooled(ScriptedModel):
    """A scripted model that takes tools."""

    def bind_tools(self, tools, **kwargs):
        return self.bind(**kwargs)


REQUEST = httpx2.Request("POST", "http://host/")


def of_anthropic(status, kind, **headers):
    body = {"type": "error", "error": {"type": kind, "message": "x"}}
    response = httpx2.Response(status, request=REQUEST, headers=headers, content=json.dumps(body))
    return anthropic.APIStatusError("x", response=response, body=body)


def of_openai(**body):
    return openai.APIError("x", REQUEST, body={"message": "x", **body})


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (of_anthropic(200, "overloaded_error"), True),
        (of_anthropic(200, "api_error"), True),
        (of_anthropic(200, "rate_limit_error"), True),
        (of_anthropic(200, "invalid_request_error"), False),
        (of_openai(code=502), True),
        (of_openai(code="503"), True),
        (of_openai(type="server_error"), True),
        (of_openai(code="context_length_exceeded", type="invalid_request_error"), False),
        (of_openai(code=[], type={}), True),  # in a stream, and it does not blame the request
    ],
)
def test_an_error_in_a_stream_that_began_well_may_be_billed(error, outage):
    assert is_outage(error) is outage
    assert not was_refused(error)


def test_an_error_status_is_not_billed():
    assert is_outage(of_anthropic(529, "overloaded_error"))
    assert not is_outage(of_anthropic(400, "api_error"))
    assert was_refused(of_anthropic(529, "overloaded_error"))


def test_an_error_as_a_whole_reply():
    error = ValueError({"message": "overloaded", "code": 503})
    assert not is_outage(error)
    mark_broken_reply(error)
    assert (is_outage(error), was_refused(error)) == (True, False)
    mark_broken_reply(ordinary := ValueError({"code": 5}))
    assert not is_outage(ordinary)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        ("-3", 0.0),
        ("inf", None),
        ("nan", None),
        ("1e300", 86_400.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0.0),
        ("Wed Oct 21 07:28:00 2015", 0.0),
        ("Wed, 21 Oct 9999 07:28:00 GMT", 86_400.0),
        ("soon", None),
        ("", None),
    ],
)
def test_how_long_a_provider_asks_to_wait(value, seconds):
    assert retry_after(of_anthropic(429, "rate_limit_error", **{"retry-after": value})) == seconds


def test_an_exception_that_cannot_be_shown_is_recorded():
    class MuteError(Exception):
        def __str__(self):
            raise RuntimeError

    assert error_record(MuteError())["message"] == "MuteError that cannot be shown as text"


@pytest.mark.parametrize(
    "text",
    [
        "sk-learn-version-2 and hf_transformers_4_x, pplx-70b-online, xai-grok-4-fast-reasoning",
        "pip install git+https://github.com/x/y.git@0123456789abcdef0123456789abcdef01234567#egg=y1234567",
        "550e8400-e29b-41d4-a716-446655440000, sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "max_tokens = 128000, pad_token: 5025699, ?page=results12&sort_key=col123456",
        "api_key=settings2.api_key, token = get_token2(name), password=$MY_PASSWORD, api_key = os.environ['KEY_1']",
        "Basic gpt-4o-mini model; a bearer of news; note: values, key: value, ASIAN markets, eyJ is no token",
        "Unexpected token: identifier42 at line 3",
        "sk-learn-version and task-orchestrator",
        "hf_transformers_x, pk-something-longer-still",
        "authorization: insufficient_scope",
        "api_key = required_value_missing",
        "Bearer authentication required",
        "http://host:8000/v1 and me@host",
    ],
)
def test_words_are_no_keys(text):
    assert redacted(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "sk-proj-0123456789abcdef", "http://h/mcp?key=abcdef", "Bearer abc123def", "api_key=abc123def", "hf_abcdefghijklm0",
        "Incorrect API key provided: sk-****************abcd",
    ],
)  # fmt: skip
def test_what_looks_like_a_key_goes(text):
    assert "[redacted]" in redacted(text)


HEX = "0123456789abcdef" * 2
MARK = "4711canary" + HEX[:22]
FORMS = [
    *(f"{begin}{MARK}" for begin in (
        "pplx-", "nvapi-", "tvly-", "tvly-dev-", "github_pat_", "ghp_", "gho_", "ghs_", "ghu_", "glpat-", "sk-ant-api03-",
        "sk-proj-", "sk-or-v1-", "AIza", "gsk_", "hf_", "r8_", "xai-", "lsv2_pt_", "co-", "fc-", "npm_", "sk_live_",
    )),
    f"xoxb-123456789012-{MARK}", f"xoxp-123456789012-{MARK}", f"SG.{MARK}.{MARK}", "AKIAIOSFODNN4711CANA", "ASIAIOSFODNN4711CANA",
    f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIi{MARK}.{MARK}", f"https://x/?q=eyJhbGciOiJIUzI1NiJ9.eyJzdWIi{MARK}.{MARK}",
    f"-----BEGIN RSA PRIVATE KEY-----\nMIIE{MARK}\n{MARK}==\n-----END RSA PRIVATE KEY-----",
    f"-----BEGIN PRIVATE KEY-----\nMIIE{MARK}", f"https://hooks.slack.com/services/T00000000/B00000000/{MARK}",
    f"Bearer {MARK}", "Basic bWU6NDcxMWNhbmFyeQ==", f"?key={MARK}", f"http://h/?a=b&token={MARK}&c=d", f"password={MARK}",
    f"postgresql://me:{MARK}@h/db", f"mongodb+srv://me:{MARK}@h/db", f"https://{MARK}@sentry.io/1", f"api-key: {HEX}4711canary",
    f"AccountKey={MARK}==", f'{{"api_key": "{MARK}"}}', f'{{\\"accessToken\\": \\"{MARK}\\"}}', f"Cookie: a=b; id={MARK}",
    f"('x-api-key', '{MARK}')", f"OPENAI_API_KEY={MARK}", f"%3Fapi_key%3D{MARK}", f"Authorization: Token {MARK}",
]  # fmt: skip


@pytest.mark.parametrize("text", FORMS)
def test_every_form_of_keys_goes_and_what_stands_around_stays(text):
    told = redacted(f"The server said: {text} was refused.")
    assert told.startswith("The server said: ")
    assert "[redacted]" in told
    assert not any(part in told for part in ("4711", "canary", "CANA", "bWU6"))
    assert told.endswith(" was refused.") or "Cookie" in text or "BEGIN PRIVATE" in text
    assert redacted(told) == told


def test_a_long_text_takes_no_time():
    began = time.monotonic()
    redacted("sk-" * 100_000 + "Bearer " * 20_000)
    assert time.monotonic() - began < 5


def test_passwords_of_urls_go():
    assert (
        redacted("no answer from http://me:pass@host:1/v1") == "no answer from http://[redacted]@host:1/v1"
    )


def test_secrets_that_are_words_stay_and_longer_ones_go_first():
    assert redacted("ollama is not here: none", ["ollama", "none", "EMPTY"]) == "ollama is not here: none"
    assert redacted("a zz-secret-long b", ["zz-secret", "zz-secret-long"]) == "a [redacted] b"


def chat(**options):
    return ChatOpenAI(**{"model": "m", "api_key": "zz-key-1", "base_url": "http://h/v1", **options})


@pytest.mark.parametrize(
    ("options", "secret"),
    [
        ({"default_headers": {"Authorization": "Bearer zz-secret"}}, "zz-secret"),
        ({"default_headers": {"X-Key": "zz-secret"}}, "zz-secret"),
        ({"default_query": {"token": "zz-secret"}}, "zz-secret"),
        ({"base_url": "http://me:zz%2Dsecret@h/v1"}, "zz-secret"),
        ({"api_key": "ollama"}, None),
    ],
)
def test_all_keys_of_a_model_are_known(options, secret):
    assert (secret in secrets_of(chat(**options))) is (secret is not None)
    assert "ollama" not in secrets_of(chat(**options))


def test_what_is_no_credential_is_no_secret():
    assert secrets_of(chat(default_headers={"X-Title": "my-application"})) == ("zz-key-1",)


def test_chains_and_fallbacks_hold_keys_too():
    other = chat(api_key="zz-key-2")
    assert secrets_of(RunnableLambda(str) | chat()) == ("zz-key-1",)
    assert set(secrets_of(chat().with_fallbacks([other.bind(stop=["x"])]))) == {"zz-key-1", "zz-key-2"}
    assert secrets_of(ScriptedModel()) == ()


def test_servers_of_a_worker_hold_keys_too():
    server = {"transport": "http", "url": "http://h/mcp", "headers": {"Authorization": "Bearer zz-secret"}}
    stdio = {"transport": "stdio", "command": "x", "env": {"GITHUB_TOKEN": "zz-token", "HOME": "/home/me"}}
    assert Worker("w", Tooled(), tools=[server, stdio]).secrets == ("zz-secret", "zz-token")


@pytest.mark.parametrize(("code", "outage"), [(408, True), (-32602, False)])
def test_a_silent_mcp_server_is_an_outage(code, outage):
    from mcp.shared.exceptions import McpError
    from mcp.types import ErrorData

    assert is_outage(McpError(ErrorData(code=code, message="Timed out"))) is outage


@pytest.mark.parametrize(
    "error",
    [
        aiohttp.ClientPayloadError("cut off"),
        aiohttp.ServerDisconnectedError(),
        aiohttp.ClientOSError("reset"),
    ],
)
def test_failures_of_aiohttp_which_some_clients_use_where_it_is_installed_are_outages(error):
    assert is_outage(error)
    assert not was_refused(error)


class OwnEnd(BaseException):
    """Neither an `Exception` nor one of Python's."""


@pytest.mark.parametrize(
    "raised", [SystemExit, asyncio.CancelledError, GeneratorExit, OwnEnd, RuntimeError]
)
@pytest.mark.parametrize("kind", [Exception, SystemExit])
@pytest.mark.parametrize("place", ["function", "tool", "planner", "raised"])
def test_an_exception_that_ends_whoever_shows_it_ends_no_run(run, raised, kind, place):
    from langchain_core.tracers.base import BaseTracer

    from tests.unit_tests.test_hostile import ToolModel, tool_call

    class Showing(BaseTracer):
        def _persist_run(self, run):
            shown.append(run.error)

    class MuteError(kind):
        def __str__(self):
            raise raised

        __repr__ = __str__

        @property
        def status_code(self):
            raise raised

        body = response = status_code

    def fails(*_):
        """Fail."""
        raise MuteError

    shown = []
    planner = ScriptedPlanner(flow(("w", "x", []), ("ok", "y", [])))
    workers = [Worker("w", fails, retries=0), Worker("ok", lambda task: "ok")]
    options = {}
    if place == "tool":
        model = ToolModel(replies=[tool_call("look")])
        workers[0] = Worker("w", model, tools=[as_tool(fails)], retries=0)
    elif place == "planner":
        planner.plan = fails
    elif place == "raised":
        options = {"on_step_error": "raise"}
    conductor = create_conductor(planner, workers, fallback="ok", **options)
    if place == "raised":
        with pytest.raises(Exception):  # noqa: B017, PT011 - a class that cannot be shown
            run(conductor, ask(), {"callbacks": [Showing()]})
        return
    result = run(conductor, ask(), {"callbacks": [Showing()]})
    assert result["answer"] == "ok"
    list(conductor.stream(ask(), stream_mode=["custom", "values"]))
    if place == "function":
        assert "MuteError" in result["rounds"][0]["steps"][0]["error"]["message"]


def as_tool(function):
    from langchain_core.tools import StructuredTool

    return StructuredTool.from_function(lambda: function(), name="look", description="Look.")


def test_a_person_who_ends_the_program_while_an_error_is_shown_ends_it():
    class SlowError(Exception):
        def __str__(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        error_record(SlowError())


def of_status(code_of_http, message, **fault):
    body = {"error": {"message": message, **fault}}
    response = httpx2.Response(code_of_http, request=REQUEST, content=json.dumps(body))
    return openai.APIStatusError(message, response=response, body=body["error"])


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (of_status(429, "You exceeded your current quota, please check your plan and billing details.", code="insufficient_quota"), "billing"),
        (of_status(429, "You exceeded your current quota, please check your plan and billing details."), "billing"),
        (of_status(429, "You exceeded your current quota, please check your billing details. Please retry in 4.2s."), "rate_limited"),
        (of_status(429, "Quota exceeded: requests per minute. Please check your plan and billing details."), "rate_limited"),
        (of_status(429, "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 requests per day"), "rate_limited"),
        (of_status(429, "insufficient_quota: tokens per minute", code="insufficient_quota"), "rate_limited"),
        (of_status(402, "Insufficient Balance"), "billing"),
        (of_status(402, ""), "billing"),
        (of_status(403, "Key limit exceeded (total limit)"), "billing"),
        (of_status(403, "This API method requires billing to be enabled", status="PERMISSION_DENIED"), "billing"),
        (of_status(401, "Access denied due to inactive subscription"), "billing"),
        (of_status(400, "Access denied, please make sure your account is in good standing.", code="Arrearage"), "billing"),
        (of_status(400, "You have reached your specified API usage limits. You will regain access on 2026-01-01."), "billing"),
        (of_status(429, "\u8d26\u6237\u4f59\u989d\u4e0d\u8db3", code="1113"), "billing"),
        (of_status(400, "prompt is too long"), None),
        (of_status(500, "billing service: credit balance could not be read"), None),
        (of_anthropic(200, "billing_error"), "billing"),
        (ValueError("insufficient funds, said the bank's letter"), None),
        (ValueError({"message": "insufficient funds", "code": 402}), None),
    ],
)  # fmt: skip
def test_an_account_that_cannot_pay_is_told_from_a_limit(error, kind):
    record = error_record(error)
    assert record.get("kind") == kind
    assert ("add credit" in record["message"]) is (kind == "billing")
    if kind == "billing":
        assert record["infrastructure"]
        assert wait_before_retry(error, 1, 5) is None


def waiting(headers=None, **fault):
    body = {"error": {"message": "slow down", "code": 429, **fault}}
    response = httpx2.Response(429, request=REQUEST, headers=headers or {}, content=json.dumps(body))
    return openai.RateLimitError("slow down", response=response, body=body["error"])


IN_FIVE = time.time() + 5


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (waiting({"retry-after-ms": "1500"}), 1.5),
        (waiting({"retry-after-ms": "soon", "retry-after": "2"}), 2.0),
        (waiting({"retry-after-ms": "1500", "retry-after": "2"}), 1.5),
        (waiting({"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-remaining-requests": "0"}), 360.0),
        (waiting({"x-ratelimit-reset-tokens": "250ms"}), 0.25),
        (waiting({"x-ratelimit-reset-tokens": "9s", "x-ratelimit-remaining-tokens": "5"}), None),
        (waiting({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "7s"}), 7.0),
        (waiting({"retry-after": "1", "x-ratelimit-reset-requests": "7s"}), 1.0),
        (waiting({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(IN_FIVE * 1000))}), 5.0),
        (waiting({"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": "2001-01-01T00:00:00Z"}), 0.0),
        (waiting(metadata={"headers": {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(IN_FIVE * 1000))}}), 5.0),
        (waiting(metadata={"retry_after": 8}), 8.0),
        (waiting(retry_after_ms=750), 0.75),
        (waiting(details=[{"retryDelay": "4.5s"}, {"quotaId": "x"}, None]), 4.5),
        (waiting(message="Please try again in 1m2.5s."), 62.5),
        (waiting(message="Please retry after 20 seconds."), 20.0),
        (waiting(message="Please try again later, in 2 rooms."), None),
        (waiting(details="none", metadata=[], retry_after=True), None),
    ],
)  # fmt: skip
def test_the_wait_is_read_wherever_it_is_told(error, seconds):
    found = retry_after(error)
    assert found == (seconds if seconds is None or seconds != 5.0 else pytest.approx(5.0, abs=120))


def of_aws(code, status=400):
    error = type(code, (Exception,), {})(f"An error occurred ({code})")
    error.response = {
        "Error": {"Code": code, "Message": "x"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return error


@pytest.mark.parametrize(
    ("error", "outage", "kind"),
    [
        (of_aws("ModelTimeoutException"), True, "timeout"), (of_aws("ModelStreamErrorException"), True, None),
        (of_aws("modelStreamErrorException"), True, None), (of_aws("ThrottlingException"), True, "rate_limited"),
        (of_aws("AccessDeniedException"), False, "no_key"), (of_aws("ValidationException"), False, None),
        (type("ModelTimeoutException", (Exception,), {})("late"), True, "timeout"),
    ],
)  # fmt: skip
def test_errors_of_aws(error, outage, kind):
    assert (is_outage(error), error_record(error).get("kind")) == (outage, kind)


def test_ollama_tells_of_errors_in_its_streams_without_a_status():
    error = type("ResponseError", (Exception,), {"__module__": "ollama._types"})("model runner has stopped")
    error.status_code = -1
    assert is_outage(error)
    error.status_code = 404
    assert not is_outage(error)


def test_a_reply_that_azure_filtered_is_a_refusal(run):
    def filtered(messages):
        raise ValueError("Azure has not provided the response due to a content filter being triggered")

    worker = Worker("w", ScriptedModel(replies=filtered))
    with pytest.raises(WorkerError, match="RefusalError: the provider's filter") as caught:
        run(create_conductor(fixed.single("w"), [worker]), ask())
    assert not caught.value.infrastructure


@pytest.mark.parametrize("has_tools", [False, True], ids=["model", "agent"])
def test_a_reply_that_azures_client_finds_filtered_is_asked_for_once(has_tools, run):
    def look(query: str) -> str:
        """Look it up."""
        return query

    with FakeProviders(faults.filtered()) as providers:
        made = azure(providers)
        worker = Worker("w", made, tools=[look] if has_tools else [])
        with pytest.raises(WorkerError, match="RefusalError: the provider's filter") as caught:
            run(create_conductor(fixed.single("w"), [worker]), ask())
        assert len(providers.requests) == 1
        assert not caught.value.infrastructure
        plan = run(create_conductor(made, [Worker("w", lambda task: "x")]), ask())["rounds"][0]["plan"]
        assert len(providers.requests) == 2
    assert (plan["reached"], plan["error"]["infrastructure"]) == ("fallback", False)
    assert "no reply" not in plan["error"]["message"]


def azure(providers):
    return AzureChatOpenAI(
        azure_deployment="m", azure_endpoint=providers.azure_url, api_version="2024-10-21", api_key="x",
        max_retries=0,
    )  # fmt: skip

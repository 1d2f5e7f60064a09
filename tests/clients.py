"""The providers' real clients, pointed at fake providers, and the four ways to call them."""

import asyncio

from langchain_anthropic import ChatAnthropic
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI
from langchain_openrouter import ChatOpenRouter

from langgraph_conductor.workers.models import over_httpx

WIRES = ["openai", "responses", "anthropic", "gemini", "openrouter"]


MODELS = {
    "openai": "m",
    "responses": "m",
    "anthropic": "claude-sonnet-5",
    "gemini": "gemini-2.5-flash",
    "openrouter": "a/m",
}


def model_name(wire):
    return MODELS[wire]


def client(wire, providers, *, timeout=5, **options):
    """The client of a wire, with no retries but those in `options`. `timeout` is in seconds."""
    options = {
        "model": MODELS[wire],
        "api_key": "sk-secret",
        "max_retries": 0,
        "timeout": timeout,
        **options,
    }
    if wire == "openai":
        return ChatOpenAI(**{"base_url": providers.openai_url, "stream_usage": True, **options})
    if wire == "responses":
        return ChatOpenAI(base_url=providers.openai_url, use_responses_api=True, **options)
    if wire == "anthropic":
        return ChatAnthropic(base_url=providers.anthropic_url, **options)
    if wire == "gemini":
        return over_httpx(ChatGoogleGenerativeAI(base_url=providers.google_url, **options))
    options["timeout"] = int(timeout * 1000)
    model = ChatOpenRouter(base_url=providers.openrouter_url, **options)
    # With max_retries=0 the SDK falls back on its own default: retries for an hour.
    model.client.sdk_configuration.retry_config = None
    return model


def streamed(model, messages):
    whole = None
    for chunk in model.stream(messages):
        whole = chunk if whole is None else whole + chunk
    return whole


async def astreamed(model, messages):
    whole = None
    async for chunk in model.astream(messages):
        whole = chunk if whole is None else whole + chunk
    return whole


CALLS = {
    "invoke": lambda model, messages: model.invoke(messages),
    "ainvoke": lambda model, messages: asyncio.run(model.ainvoke(messages)),
    "stream": streamed,
    "astream": lambda model, messages: asyncio.run(astreamed(model, messages)),
}


def failure_of(call):
    try:
        return call()
    except Exception as error:
        return error

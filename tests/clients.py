"""The providers' real clients, pointed at fake providers, and the four ways to call them."""

import asyncio

from langchain_anthropic import ChatAnthropic
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI
from langchain_openrouter import ChatOpenRouter

WIRES = ["openai", "responses", "anthropic", "gemini", "openrouter"]


def model_name(wire):
    return {"anthropic": "claude-sonnet-5", "gemini": "gemini-2.5-flash", "openrouter": "a/m"}.get(
        wire, "m"
    )


def client(wire, providers, **options):
    key = {"api_key": "sk-secret", "max_retries": 0}
    if wire == "openai":
        return ChatOpenAI(
            model="m", base_url=providers.openai_url, stream_usage=True, **{"timeout": 5, **key, **options}
        )
    if wire == "responses":
        return ChatOpenAI(
            model="m",
            base_url=providers.openai_url,
            use_responses_api=True,
            **{"timeout": 5, **key, **options},
        )
    if wire == "anthropic":
        return ChatAnthropic(
            model="claude-sonnet-5", base_url=providers.anthropic_url, **{"timeout": 5, **key, **options}
        )
    if wire == "gemini":
        return ChatGoogleGenerativeAI(
            model="gemini-2.5-flash", base_url=providers.google_url, **{"timeout": 5, **key, **options}
        )
    milliseconds = int(options.pop("timeout", 5) * 1000)
    model = ChatOpenRouter(
        model="a/m", base_url=providers.openrouter_url, timeout=milliseconds, **{**key, **options}
    )
    model.client.sdk_configuration.retry_config = (
        None  # max_retries=0 alone leaves the SDK's hour of retries
    )
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

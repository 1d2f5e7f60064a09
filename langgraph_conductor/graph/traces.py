"""What traces tell of a run, apart from its tree: metadata, which LangChain hands down to all that runs below."""

from typing import Any, Final

from langchain_core.runnables import RunnableConfig

INTEGRATION: Final[RunnableConfig] = {"metadata": {"ls_integration": "langgraph_conductor"}}
"""How LangSmith tells whose graph it was, as `create_agent` and deepagents say it of theirs."""


def unclaimed(config: RunnableConfig) -> RunnableConfig:
    """`config` under which a worker that is a graph can tell whose it is; other runs are still told ours."""
    metadata = dict(config.get("metadata") or {})
    metadata.pop("ls_integration", None)
    return {**config, "metadata": metadata}


def marked(config: RunnableConfig, **metadata: Any) -> RunnableConfig:
    """`config` under which every run carries `metadata` too."""
    return {**config, "metadata": {**(config.get("metadata") or {}), **metadata}}

"""Drives the served conductor (see app.py) with `langgraph-sdk`: stream, interrupt, resume, look inside."""

import sys
from typing import Any

from langgraph_sdk import get_sync_client
from langgraph_sdk.client import SyncLangGraphClient


def drive(client: SyncLangGraphClient) -> None:
    thread = client.threads.create()["thread_id"]
    run: Any = client.runs.stream  # of its overloads the type checker can choose none

    def told(part: Any) -> None:
        if part.event == "custom" and part.data["type"] in ("workflow_planned", "step_finished"):
            print("event:", *(part.data[key] for key in ("type", "worker", "text") if key in part.data))

    asked = {"messages": [{"role": "user", "content": "12 boxes of 9 pens and 25 more, a dollar each?"}]}
    for part in run(thread, "sale", input=asked, stream_mode=["custom"]):
        told(part)

    (found,) = client.threads.get_state(thread)["interrupts"]
    print(found["value"]["action_requests"][0]["description"])
    approve = {"decisions": [{"type": "approve"}]}
    for part in run(thread, "sale", command={"resume": approve}, stream_mode=["custom"]):
        told(part)

    state: Any = client.threads.get_state(thread, subgraphs=True)
    while state["tasks"][0]["state"]:  # down to the graph that was made for this question
        state = state["tasks"][0]["state"]
    print("waiting:", ", ".join(state["next"]))

    answers = {}
    for found in sorted(
        client.threads.get_state(thread)["interrupts"], key=lambda one: one["value"]["who"]
    ):
        print(f"{found['value']['who']} is asked: {found['value']['asked']}")
        answers[found["id"]] = "yes"
    result: Any = client.runs.wait(thread, "sale", command={"resume": answers})
    print(result["messages"][-1]["content"])


if __name__ == "__main__":
    with get_sync_client(url=sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:2024") as sdk:
        drive(sdk)

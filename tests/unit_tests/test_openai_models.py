"""Real clients over real HTTP, against a loopback double."""

from langgraph_conductor import ChatPlanner, Usage, Worker, create_conductor
from tests.helpers import ask
from tests.openai_double import openai_double


def test_model_strings_end_to_end(run, monkeypatch):
    with openai_double() as (url, bodies):
        monkeypatch.setenv("OPENAI_API_KEY", "x")
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        conductor = create_conductor(
            "openai:gpt-5-mini", [Worker("coder", "openai:gpt-5"), Worker("critic", "openai:gpt-5-mini")]
        )
        result = run(conductor, ask())
    assert result["answer"] == "An answer of gpt-5-mini."
    assert result["rounds"][0]["plan"]["reached"] == "schema"
    assert bodies[0]["response_format"]["json_schema"]["schema"]["properties"]["steps"]
    assert Usage.from_json(result["usage"]["total"]).total_tokens == 45
    assert [b["model"] for b in bodies] == ["gpt-5-mini", "gpt-5", "gpt-5-mini"]


def test_an_unknown_model_is_not_bound_to_a_schema(run):
    from langchain_openai import ChatOpenAI

    plan = 'model_id = [0]\nsubtasks = ["x"]\naccess_list = [[]]'
    with openai_double(lambda body: plan) as (url, bodies):
        model = ChatOpenAI(base_url=url, api_key="x", model="my-conductor-7b")
        conductor = create_conductor(ChatPlanner(model, show="anonymous"), [Worker("w", lambda t: "done")])
        result = run(conductor, ask())
    assert result["rounds"][0]["plan"]["reached"] == "unaided"
    assert "response_format" not in bodies[0]


def test_an_unreachable_planner_falls_back_and_is_called_an_outage(run):
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(base_url="http://127.0.0.1:9/v1", api_key="x", model="m", max_retries=0)
    result = run(create_conductor(model, [Worker("w", lambda t: "still here")]), ask())
    assert result["answer"] == "still here"
    assert result["rounds"][0]["plan"]["error"]["infrastructure"]

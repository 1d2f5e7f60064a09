import json

import pytest
from langchain_core.messages import AIMessage, SystemMessage
from langchain_core.runnables import RunnableLambda

from langgraph_conductor import (
    ACCEPT,
    ChatPlanner,
    PlanError,
    Planner,
    Worker,
    WorkerPool,
    create_conductor,
)
from langgraph_conductor.dialect import workflow_schema
from langgraph_conductor.planners import PlanningError, TurnsPlanner, fixed
from langgraph_conductor.planners.protocol import planner_of
from langgraph_conductor.testing import ACCEPT_TEXT, ScriptedModel, plan_text
from tests.helpers import ask, flow, question, request

POOL = [
    Worker("coder", lambda t: "", description="Writes code.", price={"input": "1.25", "output": "10"}),
    Worker("thinker", lambda t: "", description="Reasons."),
    Worker("tool", lambda t: "", may_be_last=False),
]
GOOD = plan_text(("coder", "Write it.", []), ("thinker", "Check it.", "all"))
WORKFLOW = flow(("coder", "Write it.", []), ("thinker", "Check it.", "all"))


def an_earlier_round(answer="It is 4."):
    return {"answer": answer, "workflow": WORKFLOW.to_json(), "steps": [], "round": 0}


class SchemaModel(ScriptedModel):
    """A model that says it supports structured output, and remembers the schemas it was bound to."""

    profile: dict = {"structured_output": True}
    schemas: list = []

    def with_structured_output(self, schema, *, method, include_raw):
        assert (method, include_raw) == ("json_schema", True)
        self.schemas.append(schema)
        return self | RunnableLambda(lambda raw: {"raw": raw, "parsed": None, "parsing_error": None})


def test_plans_unaided(plan):
    model = ScriptedModel(replies=[GOOD])
    made = plan(ChatPlanner(model), request(POOL))
    assert made.workflow == WORKFLOW
    assert (made.reached, made.text, made.accept, made.final) == ("unaided", GOOD, False, False)
    assert [a.error for a in made.attempts] == [""]
    assert made.usage.calls == 1
    assert list(made.messages) == model.calls[0]
    assert isinstance(made.messages[0], SystemMessage)


def test_described_workers_show_names_descriptions_and_prices():
    text = ChatPlanner(ScriptedModel()).render(request(POOL))[1].text
    assert text.endswith(
        "AVAILABLE MODELS:\n"
        "coder: Writes code. ($1.25 in, $10 out per million tokens)\n"
        "thinker: Reasons.\n"
        "tool (not for the last step)"
    )
    assert 'model_id = ["thinker", "coder"]' in text  # the examples speak of the workers offered


def test_anonymous_workers_show_ordinals_alone():
    pool = WorkerPool(POOL).without("coder")
    planner = ChatPlanner(ScriptedModel(), show="anonymous")
    text = planner.render(request(pool))[1].text
    assert text.endswith("AVAILABLE MODELS:\nModel 1\nModel 2 (not for the last step)")
    assert "coder" not in text
    assert "Reasons" not in text
    assert "model_id = [2, 1]" in text
    reply = "model_id = [2, 1]\nsubtasks = ['x', 'y']\naccess_list = [[], [0]]"
    assert planner.parse(reply, request(pool)) == flow(("tool", "x", []), ("thinker", "y", [0]))


def test_images_reach_the_planner():
    image = {"type": "image", "url": "https://example.org/a.png"}
    content = ChatPlanner(ScriptedModel()).render(request(POOL, question=(*question(), image)))[1].content
    assert content[1] == image


def test_a_broken_plan_is_sent_back_with_the_reason(plan):
    broken = GOOD.replace('["coder"', '["nobody"')
    model = ScriptedModel(replies=["no idea", broken, GOOD])
    made = plan(ChatPlanner(model), request(POOL))
    assert made.workflow == WORKFLOW
    assert made.reached == "repair"
    assert [bool(a.error) for a in made.attempts] == [True, True, False]
    assert "no workflow found" in model.calls[1][-1].text
    assert "step 0: there is no worker 'nobody'" in model.calls[2][-1].text
    assert model.calls[2][-2] == AIMessage(broken)
    assert made.usage.calls == 3


def test_two_repairs_at_most(plan):
    model = ScriptedModel(replies=["a", "b", "c", GOOD])
    with pytest.raises(PlanningError) as caught:
        plan(ChatPlanner(model), request(POOL))
    assert [a.text for a in caught.value.attempts] == ["a", "b", "c"]
    assert isinstance(caught.value, PlanError)
    assert len(model.calls) == 3


def test_a_worker_that_may_not_be_last_is_a_fault_to_repair(plan):
    bad = plan_text(("coder", "Write.", []), ("tool", "Run.", [0]))
    model = ScriptedModel(replies=[bad, GOOD])
    made = plan(ChatPlanner(model), request(POOL))
    assert made.reached == "repair"
    assert "step 1: worker tool must not be the last; end with one of coder, thinker" in model.prompts[1]


def test_a_planner_model_that_thinks_aloud(plan):
    model = ScriptedModel(replies=["<think>model_id = [0]</think>" + GOOD])
    assert plan(ChatPlanner(model), request(POOL)).reached == "unaided"


def test_schema_only_where_the_model_says_so(plan):
    steps = {"reasoning": "r", "steps": WORKFLOW.to_json()["steps"]}
    model = SchemaModel(replies=[json.dumps(steps)], schemas=[])
    made = plan(ChatPlanner(model), request(POOL, max_steps=3))
    assert made.workflow == WORKFLOW
    assert made.reached == "schema"
    worker = model.schemas[-1]["properties"]["steps"]["items"]["properties"]["worker"]
    assert worker["enum"] == ["coder", "thinker", "tool"]
    assert '"reasoning"' in model.prompts[0]
    text_model = SchemaModel(replies=[GOOD], schemas=[])
    assert plan(ChatPlanner(text_model, structured=False), request(POOL)).reached == "unaided"
    assert text_model.schemas == []


def test_anonymous_schema_names_ordinals():
    model = SchemaModel(replies=["{}"], schemas=[])
    with pytest.raises(PlanningError):
        ChatPlanner(model, show="anonymous", max_subtask_chars=50).plan(request(POOL))
    worker = model.schemas[-1]["properties"]["steps"]["items"]["properties"]["worker"]
    assert worker == {"type": "integer", "enum": [0, 1, 2]}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda parsed: {"raw": AIMessage(""), "parsed": parsed},
        lambda parsed: {"raw": AIMessage("I will plan now."), "parsed": parsed},  # text beside a tool call
        lambda parsed: {"raw": None, "parsed": parsed},
        lambda parsed: parsed,  # a model that ignores include_raw
    ],
)
def test_a_parsed_object_counts_whatever_stands_beside_it(wrap):
    class ToolModel(SchemaModel):
        def with_structured_output(self, schema, **options):
            parsed = {"reasoning": "", "steps": WORKFLOW.to_json()["steps"]}
            return RunnableLambda(lambda _: wrap(parsed))

    assert ChatPlanner(ToolModel()).plan(request(POOL)).workflow == WORKFLOW


def test_a_model_that_cannot_be_bound_is_refused_when_the_planner_is_built():
    class Toolless(ScriptedModel):
        def with_structured_output(self, schema, **options):
            raise TypeError("it takes no schema")

    with pytest.raises(ValueError, match=r"Toolless cannot be bound to a JSON schema.*structured=False"):
        ChatPlanner(Toolless(), structured=True)


def test_an_anonymous_planner_is_told_no_names_by_errors_either(plan):
    bad = 'model_id = ["coder"]\nsubtasks = ["x"]\naccess_list = [[]]'
    last = "model_id = [2]\nsubtasks = ['x']\naccess_list = [[]]"
    model = ScriptedModel(replies=[bad, last, "model_id = [1]\nsubtasks = ['x']\naccess_list = [[]]"])
    made = plan(ChatPlanner(model, show="anonymous"), request(POOL))
    assert made.workflow == flow(("thinker", "x", []))
    assert "there is no worker 'coder'; choose from 0, 1, 2." in model.prompts[1]
    assert "worker 2 must not be the last; end with one of 0, 1." in model.prompts[2]


def test_a_description_stays_on_its_line():
    pool = [Worker("a", lambda t: "", description="x\nb: a worker that is not there")]
    text = ChatPlanner(ScriptedModel()).render(request(pool))[1].text
    assert text.endswith("AVAILABLE MODELS:\na: x b: a worker that is not there")


def test_a_reply_cut_at_the_length_limit_is_repaired():
    from openai import LengthFinishReasonError
    from openai.types.chat import ChatCompletion

    completion = ChatCompletion.model_validate(
        {
            "id": "x", "created": 0, "model": "m", "object": "chat.completion",
            "choices": [{"finish_reason": "length", "index": 0,
                         "message": {"role": "assistant", "content": '{"reasoning": "long'}}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
        }
    )  # fmt: skip
    model = ScriptedModel(replies=[LengthFinishReasonError(completion=completion), GOOD])
    made = ChatPlanner(model).plan(request(POOL))
    assert made.reached == "repair"
    assert made.attempts[0].text == '{"reasoning": "long'
    assert made.usage.output_tokens >= 7


def test_a_later_round_shows_the_earlier_and_may_accept(plan):
    model = ScriptedModel(replies=[ACCEPT_TEXT])
    asked = request(POOL, rounds=(an_earlier_round("It is <previous_plan> 4."),))
    made = plan(ChatPlanner(model), asked)
    assert made.workflow is ACCEPT
    assert made.accept
    assert WORKFLOW.to_text() in model.prompts[0]
    assert "<previous_answer>\nIt is <\\previous_plan> 4.\n</previous_answer>" in model.prompts[0]
    assert "three empty lists" in model.prompts[0]
    anonymous = ChatPlanner(model, show="anonymous").render(asked)[1].text
    assert "model_id = [0, 1]\nsubtasks" in anonymous


def test_the_first_round_cannot_accept(plan):
    model = ScriptedModel(replies=[ACCEPT_TEXT, GOOD])
    assert plan(ChatPlanner(model), request(POOL)).reached == "repair"
    assert "previous_answer" not in model.prompts[0]


def test_a_round_without_an_answer_cannot_be_accepted(plan):
    model = ScriptedModel(replies=[ACCEPT_TEXT, GOOD])
    made = plan(ChatPlanner(model), request(POOL, rounds=(an_earlier_round(""),)))
    assert made.workflow == WORKFLOW


def test_a_prefilled_reply_is_read_whole(plan):
    model = ScriptedModel(replies=["no list", GOOD.removeprefix("I have")])
    made = plan(ChatPlanner(model, prefill="I have"), request(POOL))
    assert [call[-1] for call in model.calls] == [AIMessage("I have")] * 2
    assert [call[-3:-1] for call in model.calls[1:]] == [[AIMessage("I haveno list"), model.calls[1][3]]]
    assert (made.workflow, made.text, made.reached) == (WORKFLOW, GOOD, "repair")
    assert [a.text for a in made.attempts] == ["I haveno list", GOOD]
    assert list(made.messages) == model.calls[0]


def test_bad_options():
    for options in ({"structured": True, "prefill": "x"}, {"prefill": "x "}):
        with pytest.raises(ValueError, match="prefill needs"):
            ChatPlanner(SchemaModel(), **options)
    with pytest.raises(ValueError, match="show must be"):
        ChatPlanner(ScriptedModel(), show="names")
    with pytest.raises(TypeError, match="a planner is a model string"):
        ChatPlanner(3)
    with pytest.raises(TypeError, match="a planner is a model string"):
        planner_of(ChatPlanner)
    with pytest.raises(ValueError, match="max_subtask_chars"):
        ChatPlanner(ScriptedModel(), max_subtask_chars=0)
    with pytest.raises(ValueError, match="planner: 'nope' cannot be used"):
        ChatPlanner("nope")


def test_what_a_planner_may_be():
    own = fixed.single("coder")
    assert planner_of(own) is own
    assert isinstance(own, Planner)
    assert isinstance(planner_of(ScriptedModel()), ChatPlanner)


# ------------------------------------------------------------------ fixed


def test_single(plan):
    made = plan(fixed.single("coder", "Do it."), request(POOL))
    assert made.workflow == flow(("coder", "Do it.", []))
    assert made.final
    assert made.reached == "fixed"
    assert made.usage.calls == 0


def test_self_consistency(plan):
    workflow = plan(fixed.self_consistency(3, "coder", judge="thinker"), request(POOL)).workflow
    assert [s.worker for s in workflow.steps] == ["coder"] * 3 + ["thinker"]
    assert workflow.levels() == ((0, 1, 2), (3,))
    assert workflow.reads(3) == (0, 1, 2)


def test_fixed_strategies_ask_for_what_their_name_says():
    def subtasks(planner):
        return [step.subtask for step in planner.plan(request(POOL)).workflow.steps]

    asked = subtasks(fixed.self_consistency(3, "coder"))
    assert asked[:3] == ["Answer the question."] * 3
    assert asked[3].startswith("3 independent answers")
    asked = subtasks(fixed.mixture_of_agents(["coder"], 2, "coder"))
    assert asked[0] == "Answer the question."
    assert asked[1].startswith("Several answers are given.")
    assert asked[2].endswith("the best answer.")


def test_self_reflection(plan):
    workflow = plan(fixed.self_reflection(2, "coder"), request(POOL)).workflow
    assert workflow.levels() == ((0,), (1,), (2,))
    assert workflow.reads(2) == (1,)


def test_mixture_of_agents(plan):
    workflow = plan(fixed.mixture_of_agents(["coder", "thinker"], 2, "thinker"), request(POOL)).workflow
    assert workflow.levels() == ((0, 1), (2, 3), (4,))
    assert workflow.reads(3) == (0, 1)
    assert workflow.reads(4) == (2, 3)


def test_random_router_is_seeded_and_spares_workers_that_may_not_be_last():
    def picks(seed):
        return [
            fixed.random_router(seed)
            .plan(request(POOL, question=question(f"q{i}")))
            .workflow.steps[0]
            .worker
            for i in range(60)
        ]

    assert picks(1) == picks(1)
    assert picks(1) != picks(2)
    assert set(picks(1)) == {"coder", "thinker"}


def test_fixed_refusals():
    with pytest.raises(PlanError, match="no worker 'nobody'"):
        fixed.single("nobody").plan(request(POOL))
    with pytest.raises(PlanError, match="must not be the last"):
        fixed.single("tool").plan(request(POOL))
    for build in (
        lambda: fixed.self_consistency(1, "a"),
        lambda: fixed.self_reflection(0, "a"),
        lambda: fixed.mixture_of_agents([], 1, "a"),
        lambda: fixed.mixture_of_agents(["a"], 0, "a"),
    ):
        with pytest.raises(ValueError, match="at least"):
            build()


def test_repairs_are_one_growing_conversation(plan):
    model = ScriptedModel(replies=["", "no plan", GOOD])
    made = plan(ChatPlanner(model), request(POOL))
    assert [len(messages) for messages in model.calls] == [2, 4, 6]
    assert model.calls[2][2].text == "(nothing)"  # providers refuse empty messages
    assert list(made.messages) == model.calls[2][:2]


def test_max_steps_is_told_and_checked():
    planner = ChatPlanner(ScriptedModel())
    with pytest.raises(PlanError, match="2 steps are too many; use at most 1"):
        planner.parse(GOOD, request(POOL, max_steps=1))
    assert "at most 1 step." in planner.render(request(POOL, max_steps=1))[1].text


def test_a_plan_the_pool_refuses_keeps_its_text():
    text = plan_text(("tool", "x", []))
    with pytest.raises(PlanError) as caught:
        ChatPlanner(ScriptedModel()).parse(text, request(POOL))
    assert caught.value.text == text


def test_the_schema_is_that_of_the_request(plan):
    model = SchemaModel(replies=['{"reasoning": "", "steps": []}'], schemas=[])
    asked = request(POOL, max_steps=3, rounds=(an_earlier_round(),))
    made = plan(ChatPlanner(model, max_subtask_chars=50), asked)
    names = ["coder", "thinker", "tool"]
    assert model.schemas[-1:] == [workflow_schema(names, 3, allow_accept=True, max_chars=50)]
    assert [a.mode for a in made.attempts] == ["schema"]


def test_an_earlier_plan_is_shown_though_a_worker_left():
    asked = request(WorkerPool(POOL).without("coder"), rounds=(an_earlier_round(),))
    text = ChatPlanner(ScriptedModel(), show="anonymous").render(asked)[1].text
    assert 'model_id = ["coder", "thinker"]' in text


def test_a_planner_may_be_shown_the_earlier_answer_without_its_plan():
    model = ScriptedModel()
    asked = request(POOL, rounds=(an_earlier_round("It is 4."),))
    alone = ChatPlanner(model, structured=False, show_previous_plan=False)
    shown, hidden = (
        planner.render(asked)[1].text for planner in (ChatPlanner(model, structured=False), alone)
    )
    assert "<previous_plan>" in shown
    assert "previous_plan" not in hidden
    for prompt in (shown, hidden):
        assert "<previous_answer>\nIt is 4.\n</previous_answer>" in prompt
        assert "accept it: give three empty lists" in prompt
    assert alone.showing("anonymous").show_previous_plan is False


# ------------------------------------------------------------------ instructions


@pytest.mark.parametrize("kind", [ChatPlanner, TurnsPlanner])
def test_instructions_stand_in_the_system_message_and_nowhere_else(kind):
    asked = request([Worker("w", lambda task: "done")])
    bare = kind(ScriptedModel()).render(asked)
    words = "Prefer the cheap worker for small talk."
    system, *rest = kind(ScriptedModel(), instructions=f" {words}\n").render(asked)
    assert rest == bare[1:]
    assert system.text.startswith(f"{bare[0].text}\n\n")
    assert system.text.endswith(f"\n\n<instructions>\n{words}\n</instructions>")


@pytest.mark.parametrize("wrong", ["", " \n", 1, ["Be brief."]])
def test_instructions_that_say_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match="instructions must be a string that says something"):
        ChatPlanner(ScriptedModel(), instructions=wrong)


def test_instructions_reach_the_model_in_every_round_and_repair(run):
    model = ScriptedModel(replies=["no plan", plan_text(("w", "Do it.", []))])
    planner = ChatPlanner(model, instructions="Be brief \ud83d.").showing("anonymous").showing("described")
    run(create_conductor(planner, [Worker("w", lambda task: "done")], max_rounds=2), ask())
    assert len(model.calls) > 2
    assert all("Be brief \ufffd." in messages[0].text for messages in model.calls)

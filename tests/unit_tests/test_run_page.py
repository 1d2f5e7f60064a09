"""A run as an HTML page: what it shows, and what a hostile text cannot make of it."""

import re
from html.parser import HTMLParser

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import interrupt

from langgraph_conductor import ACCEPT, Plan, Worker, create_conductor
from langgraph_conductor.display import RunView, run_page, run_parts, run_steps, write_run_page
from langgraph_conductor.display.timeline import timeline
from langgraph_conductor.display.waterfall import MOST_BARS, MOST_TOOLS, seconds, waterfall
from langgraph_conductor.planners import fixed
from langgraph_conductor.usage import Usage
from tests.helpers import PRICE, Recorder, ScriptedPlanner, ask, chat, flow, thread
from tests.runs import rich_run

HOSTILE = (
    '</dd></div></title></style><script src="http://evil.example/x.js">steal()</script><img src=x onerror=steal()>'
    "\"'><a href=javascript:steal()>&amp;\u202e\x1b[2J\0\ud800"
)


class Page(HTMLParser):
    """The elements of a page, and its text by the id of the section it stands in."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.texts, self.open = [], [], {}, []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *attr) for attr in attrs]
        if tag == "section":
            self.open.append(dict(attrs).get("id", ""))

    def handle_endtag(self, tag):
        if tag == "section":
            self.open.pop()

    def handle_data(self, data):
        where = self.open[-1] if self.open else ""
        self.texts[where] = self.texts.get(where, "") + data

    @property
    def text(self):
        return "\n".join(self.texts.values())


def run(planner, *workers, text="What is it?", **options):
    return create_conductor(planner, workers, **options).invoke(ask(text))


def step(index=0, began=0.0, took=1.0, calls=()):
    return {
        "index": index, "worker": "w", "subtask": "s", "granted": [], "status": "ok", "text": "t", "answered_by": "w",
        "calls": 1, "error": None, "usage": Usage().to_json(), "model_calls": list(calls), "started_at": began,
        "seconds": took,
    }  # fmt: skip


def record(*steps, number=0, accepted=False, answer="t"):
    named = [{"worker": s["worker"], "subtask": s["subtask"], "access": []} for s in steps]
    plan = {
        "reached": "fixed", "text": "", "attempts": [], "error": None, "usage": Usage().to_json(), "model_calls": [],
        "seconds": 0.5,
    }  # fmt: skip
    return {
        "round": number, "accepted": accepted, "workflow": {"steps": named} if named else None, "plan": plan,
        "steps": list(steps), "answer": answer, "final": False, "wall_seconds": 1.0,
    }  # fmt: skip


def test_hostile_text_stays_text_wherever_it_comes_from():
    workers = [
        Worker("w", Recorder("w", HOSTILE)),
        Worker("down", Recorder("down", ConnectionError(HOSTILE)), retries=0),
    ]
    subtask = HOSTILE.replace("\0", "").replace("\ud800", "")
    plan = flow(("w", subtask, []), ("down", subtask, [0]), ("w", subtask, "all"))
    result = run(ScriptedPlanner(Plan(plan, text=HOSTILE)), *workers, text=HOSTILE)
    html = run_page(result)
    page = Page(html)
    assert page.texts["round-0-step-0"].count("steal()</script>") == 2  # it is told, as text
    assert "<script" not in html
    assert not {"script", "img", "iframe", "link", "object", "base", "form"} & set(page.tags)
    assert not [a for a in page.attributes if a[1].startswith("on") or a[1] in ("src", "xlink:href")]
    assert all(value.startswith("#") for _, name, value in page.attributes if name == "href")
    assert not set("\x1b\0\u202e") & set(html)
    html.encode()


def test_nothing_is_loaded_and_light_and_dark_are_known():
    html = run_page(run(fixed.single("w"), Worker("w", lambda t: "ok")))
    page = Page(html)
    assert ("meta", "content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes
    assert "http" not in html.replace("http-equiv", "")
    assert not re.search(r"url\(|@import", html)
    assert "color-scheme: light dark" in html


def test_every_granted_output_is_shown_under_its_step_and_no_other():
    first = flow(("a", "one", []), ("b", "two", []), ("a", "three", [1]))
    result = run(
        ScriptedPlanner(first, flow(("b", "again", "all"), ("a", "last", [0]))),
        Worker("a", Recorder("a", lambda t: f"alpha-{t.round}{t.index}")),
        Worker("b", Recorder("b", lambda t: f"beta-{t.round}{t.index}")),
        max_rounds=2,
    )
    page = Page(run_page(result))
    shown = {
        where: set(re.findall(r"(?:alpha|beta)-\d\d", text))
        for where, text in page.texts.items()
        if "-step-" in where
    }
    assert shown == {
        "round-0-step-0": {"alpha-00"},
        "round-0-step-1": {"beta-01"},
        "round-0-step-2": {"beta-01", "alpha-02"},
        "round-1-step-0": {"alpha-00", "beta-01", "alpha-02", "beta-10"},
        "round-1-step-1": {"beta-10", "alpha-11"},
    }
    assert "step 1 of round 0: b" in page.texts["round-1-step-0"]
    ids = {value for _, name, value in page.attributes if name == "id"}
    assert {value[1:] for _, name, value in page.attributes if name == "href"} <= ids


def test_a_failed_step_and_a_fallback_say_why():
    result = run(
        ScriptedPlanner(flow(("down", "try", []), ("weak", "try", []), ("good", "say", [0, 1]))),
        Worker("down", Recorder("d", ConnectionError("the line is cut")), retries=0),
        Worker("weak", Recorder("x", ValueError("too hard")), retries=0, fallback="good"),
        Worker("good", lambda t: "fine"),
    )
    page = Page(run_page(result))
    assert "down: failed" in page.texts["round-0-step-0"]
    assert "ConnectionError: the line is cut" in page.texts["round-0-step-0"]
    assert "weak: ok" in page.texts["round-0-step-1"]
    assert "answered by" in page.texts["round-0-step-1"]
    assert "too hard" in page.texts["round-0-step-1"]
    assert "(failed, no text)" in page.texts["round-0-step-2"]
    assert "failed" in [value for tag, name, value in page.attributes if (tag, name) == ("rect", "class")]


def test_rounds_say_what_came_of_them():
    planner = ScriptedPlanner(flow(("w", "x", [])), flow(("w", "y", [])), ACCEPT)
    page = Page(run_page(run(planner, Worker("w", Recorder("w")), max_rounds=3)))
    rounds = page.text
    assert rounds.count("answered; the planner planned again") == 1
    assert rounds.count("answered; accepted by the planner") == 1
    assert rounds.count("accepted: the planner kept the answer of round 1") == 1
    assert "answered" in Page(run_page(run(planner, Worker("w", Recorder("w"))))).text


def test_planning_that_failed_is_told_with_every_reply():
    result = run(chat("no plan at all", "still none", "none <b>"), Worker("w", chat("ok"), price=PRICE))
    page = Page(run_page(result))
    assert result["rounds"][0]["plan"]["reached"] == "fallback"
    assert "planning failed, fallback" in page.text
    for reply in ("no plan at all", "still none", "none <b>"):
        assert reply in page.text
    assert "$1.0" in page.texts["round-0-step-0"]
    assert "without a known price" in page.text  # the planner's calls


def test_an_interrupted_run_is_shown_without_answer():
    def asks(task):
        return interrupt("may I <b>pay</b>?")

    conductor = create_conductor(fixed.single("w"), [Worker("w", asks)], checkpointer=InMemorySaver())
    page = Page(run_page(conductor.invoke(ask("Buy it?"), thread())))
    assert "waits for an answer to: may I <b>pay</b>?" in page.text
    assert "There is none so far." in page.text
    assert "No round is over." in page.text
    assert "Buy it?" in page.text


def test_a_round_that_is_not_over_says_how_far_it_came():
    part = record(step(0), step(1), answer="")
    part["steps"].pop()
    page = Page(run_page({"rounds": [part]}))
    assert "not over: 1 of 2 steps are" in page.text
    assert "step 1 · not run" in page.text


def test_the_question_of_a_later_turn_leaves_out_the_answer():
    conductor = create_conductor(fixed.single("w"), [Worker("w", lambda t: "the answer")])
    talk = [HumanMessage("first"), AIMessage("reply"), HumanMessage([{"type": "text", "text": "and now?"}])]
    html = run_page(conductor.invoke({"messages": talk}))
    question = Page(html[: html.index("<h2>Answer")]).text
    assert "and now?" in question
    assert "first" in question
    assert "the answer" not in question
    image = [
        {"type": "text", "text": "What is it?"},
        {"type": "image", "base64": "AAAA", "mime_type": "image/png"},
    ]
    shown = Page(run_page(conductor.invoke({"messages": [HumanMessage(image)]}))).text
    assert "[image]" in shown
    assert "AAAA" not in shown


def test_long_texts_are_cut_with_how_much_is_left_out():
    size = 3 * run_parts.MOST_TEXT
    result = run(
        ScriptedPlanner(flow(("w", "x", []), ("w", "y", "all"))),
        Worker("w", lambda t: "a" + "x" * (size - 2) + "z"),
    )
    html = run_page(result)
    assert f"{size - run_parts.MOST_TEXT:,} of {size:,} characters left out" in html
    assert len(html) < 6 * run_parts.MOST_TEXT  # said twice, granted once, answered once
    texts = Page(html).texts
    assert "ax" in texts["round-0-step-0"]
    assert "xz" in texts["round-0-step-0"]


def test_many_steps_and_calls_are_cut_with_how_many_are_left_out():
    call = {"worker": "w", "model": "m", "seconds": 0.1, "usage": Usage(calls=1).to_json()}
    many = [step(i, began=i, calls=[call] * 60) for i in range(250)]
    page = Page(run_page({"rounds": [record(*many)]}))
    assert "50 steps between the first ones and the last are left out." in page.text
    assert "10 calls between the first ones and the last are left out." in page.text
    assert "50 later rows of 250 are not drawn." in page.text
    assert page.attributes.count(("rect", "class", "ok")) == MOST_BARS + 1  # and the key's
    assert "round-0-step-249" in page.texts
    ids = {value for _, name, value in page.attributes if name == "id"}
    assert {value[1:] for _, name, value in page.attributes if name == "href"} <= ids


def test_what_one_step_is_granted_is_bounded_as_a_whole():
    many = [step(i) | {"text": "y" * 10_000} for i in range(100)]
    last = step(100) | {"granted": [[0, i] for i in range(100)]}
    text = Page(run_page({"rounds": [record(*many, last)]})).texts["round-0-step-100"]
    assert run_steps.MOST_GRANTED_TEXT <= text.count("y") <= run_steps.MOST_GRANTED_TEXT + 100 * 10
    assert text.count("characters left out") == 100


def test_bars_stand_where_the_steps_ran():
    rounds = [record(step(0, 1000.0, 2.0), step(1, 1001.0, 3.0)), record(step(0, 1004.5, 1.0), number=1)]
    line = timeline(rounds)
    assert [(bar.round, bar.step, bar.begin, bar.seconds) for bar in line.bars] == [
        (0, 0, 0.0, 2.0), (0, 1, 1.0, 3.0), (1, 0, 4.5, 1.0),
    ]  # fmt: skip
    assert line.pauses == ()  # half a second of five is no long pause
    assert line.length == 5.5


def test_a_night_between_two_steps_leaves_both_legible():
    night = 8 * 3600.0
    line = timeline([record(step(0, 1000.0, 4.0), step(1, 1004.0 + night, 6.0))])
    assert [bar.begin for bar in line.bars] == pytest.approx([0.0, 5.0])
    assert line.length == pytest.approx(11.0)
    assert [pause.seconds for pause in line.pauses] == [night]
    assert line.pauses[0].at == pytest.approx(4.5)
    assert "8.0 h pause" in waterfall(line, run_steps.step_id)


@pytest.mark.parametrize("took", [0.0, -1.0])
def test_a_step_that_took_no_time_is_drawn(took):
    svg = waterfall(timeline([record(step(0, 7.0, took))]), run_steps.step_id)
    assert 'width="2.0"' in svg
    assert waterfall(timeline([]), run_steps.step_id) == ""


def test_bars_stay_on_the_paper():
    line = timeline([record(*(step(i, 100.0 + 7 * i, 0.3) for i in range(20)))])
    drawn = waterfall(line, run_steps.step_id)
    found = re.findall(r'<rect class="ok" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', drawn)
    assert len(found) == 20
    assert min(float(x) for x, _ in found) >= 230
    assert max(float(x) + float(wide) for x, wide in found) <= 230 + 560 + 2


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0 ms"), (0.25, "250 ms"), (1.0, "1.0 s"), (90.0, "1.5 min"), (7200.0, "2.0 h")],
)
def test_durations_have_fitting_units(value, shown):
    assert seconds(value) == shown


def test_model_calls_are_told_with_their_step():
    result = run(fixed.single("w"), Worker("w", chat("ok"), price=PRICE))
    page = Page(run_page(result))
    assert "1 model call" in page.texts["round-0-step-0"]
    assert "1 model call, " in page.texts[""]  # beside the bar


def test_a_page_is_written_and_the_same_each_time(tmp_path):
    result = run(fixed.single("w"), Worker("w", lambda t: "ähnlich 日本"))
    path = write_run_page(result, tmp_path / "run.html")
    assert path.read_bytes() == run_page(result).encode()
    assert "日本" in path.read_text(encoding="utf-8")


def test_a_notebook_shows_it_in_a_frame_without_scripts():
    result = run(fixed.single("w"), Worker("w", lambda t: HOSTILE))
    frame = Page(RunView(result)._repr_html_())
    assert frame.tags == ["iframe"]
    attributes = {name: value for _, name, value in frame.attributes}
    assert attributes["sandbox"] == ""
    assert attributes["srcdoc"] == run_page(result)


@pytest.mark.parametrize("wrong", [None, "text", {}, {"messages": []}, {"rounds": None}])
def test_what_is_no_result_is_refused(wrong):
    with pytest.raises(ValueError, match="give what `invoke` of a conductor returned"):
        run_page(wrong)


@pytest.mark.parametrize("interrupted", [True, False])
def test_a_notebook_shows_runs_that_have_hardly_begun(interrupted):
    conductor = create_conductor(
        fixed.single("w"), [Worker("w", lambda t: "ok")], approve=True, checkpointer=InMemorySaver()
    )
    result = conductor.invoke(ask("May it?"), thread()) if interrupted else {"rounds": []}
    ((_, _, shown),) = [a for a in Page(RunView(result)._repr_html_()).attributes if a[1] == "srcdoc"]
    text = Page(shown).text
    assert (
        "The run waits for an answer to: Request: > May it? Plan: 0. w" in " ".join(text.split())
    ) is interrupted
    assert "'action_requests'" not in text  # what is asked is told in words
    assert "There is none so far." in text
    assert "Nothing ran." in text


# ------------------------------------------------------------------- a run with everything in it


@pytest.fixture(scope="module")
def rich():
    return rich_run()


@pytest.fixture
def rich_page(rich):
    return Page(run_page(rich))


def test_tool_calls_are_told_with_their_step_and_stay_text(rich, rich_page):
    step = rich_page.texts["round-0-step-0"]
    assert "2 tool calls: search, broken 1 failed" in step
    assert '{"query": "herrings"}' in step
    assert "found: herrings </dd>" in step
    assert "OSError: the archive is shut </dd>" in step
    html = run_page(rich)
    assert not {"script", "img", "iframe", "link", "object", "base", "form"} & set(rich_page.tags)
    assert not [a for a in rich_page.attributes if a[1].startswith("on") or a[1] in ("src", "data-ran")]
    assert rich_page.tags.count("style") == rich_page.tags.count("body") == 1
    assert not set("\x1b\0\u202e") & set(html)


def test_tools_and_planning_have_bars(rich):
    bars = [bar for bar in timeline(rich["rounds"]).bars if bar.round == 0 and bar.step in (None, 0)]
    plan, step, *tools = bars
    assert [(bar.kind, bar.step, bar.name) for bar in (plan, step)] == [
        ("plan", None, ""),
        ("step", 0, "archivist"),
    ]
    broken, search = sorted(tools, key=lambda tool: tool.name)  # the model called both at once
    assert [(bar.kind, bar.step, bar.name, bar.ok) for bar in (search, broken)] == [
        ("tool", 0, "search", True), ("tool", 0, "broken", False),
    ]  # fmt: skip
    assert all(step.begin <= tool.begin <= step.begin + step.seconds for tool in tools)
    assert len(step.spans) == step.calls == 2
    assert step.tools == 2


def test_what_a_person_said_is_told_with_the_workflows_that_did_not_run(rich_page):
    first, second = rich_page.texts["round-0"], rich_page.texts["round-1"]
    assert "a personlet it run" in first
    assert "rejected workflow 0: Look it up." in first
    assert "Just guess." in first
    assert "a personedited it" in second
    assert "the workflow as it was planned" in second
    stopped = record(answer="") | {"workflow": None}
    stopped["plan"] |= {"approval": {"said": "stop", "planned": flow(("w", "Buy it all.", [])).to_json()}}
    page = Page(run_page({"rounds": [stopped]}))
    assert "ended by a person, who did not let it run" in page.text
    assert "Buy it all." in page.text


def test_chosen_outputs_of_earlier_rounds_are_marked(rich_page):
    assert "step 0 of round 0 (chosen)" in rich_page.texts["round-1-step-1"]
    assert "step 1 · reads 0.0" in rich_page.texts["round-1"]
    assert "(chosen)" not in rich_page.texts["round-1-step-0"]  # these were granted all together


def test_a_fallback_is_told_from_a_failure(rich_page):
    step = rich_page.texts["round-0-step-1"]
    assert "weak: ok" in step
    assert "answered bywriter" in step
    assert "weak failedConnectionError: the line is cut" in step


def test_what_may_have_been_repeated_says_so():
    part = record(step(0) | {"possibly_repeated": True})
    page = Page(run_page({"rounds": [part]}))
    assert "a call under way may have been made, and paid, once more" in page.texts["round-0-step-0"]
    assert "1.0 s, maybe repeated" in page.text
    assert "repeated" not in Page(run_page({"rounds": [record(step(0))]})).text


def test_a_part_of_the_work_is_no_answer():
    page = Page(run_page({"rounds": [record(step(0)) | {"is_answer": False}]}))
    assert "a part of the work, no answer yet" in page.texts["round-0"]


def test_many_tools_of_one_step_leave_room_for_the_next_step():
    tool = {"tool": "look", "input": "{}", "output": "x", "error": "", "started_at": 0.0, "seconds": 0.1}
    many = [tool | {"started_at": 0.01 * i} for i in range(300)]
    page = Page(run_page({"rounds": [record(step(0, 1.0) | {"tool_calls": many}, step(1, 2.0))]}))
    assert f"Of each step {MOST_TOOLS} tool calls are drawn, {300 - MOST_TOOLS} are not." in page.text
    assert page.attributes.count(("rect", "class", "tool")) == MOST_TOOLS + 1  # and the key's
    assert page.attributes.count(("rect", "class", "ok")) == 3
    assert "300 tool calls: look" in page.texts["round-0-step-0"]
    assert "250 calls between the first ones and the last are left out." in page.texts["round-0-step-0"]


def test_a_page_begins_with_what_the_run_took(rich_page):
    for part in ("2 rounds", "6 steps", "4 model calls", "2 without a known price"):
        assert part in rich_page.texts[""].partition("Question")[0]

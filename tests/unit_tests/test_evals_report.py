"""The report: what it says, that nothing in it can do harm, and that it is the same each time."""

import importlib
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from langgraph_conductor.display.drawing import workflow_svg
from langgraph_conductor.display.markup import cut
from langgraph_conductor.evals import paper
from langgraph_conductor.evals.report import opening, write_report
from langgraph_conductor.evals.report.findings import findings, sentence
from langgraph_conductor.evals.report.items import MOST_ITEMS, MOST_TEXT
from langgraph_conductor.evals.report.plots import draw
from langgraph_conductor.evals.report.words import chance, dollars, in_markdown, points
from langgraph_conductor.evals.results import Evaluation, Outcome
from langgraph_conductor.evals.stats import Paired, sign_flip
from langgraph_conductor.evals.summarising import summarise
from langgraph_conductor.evals.summary import Comparison
from langgraph_conductor.rewards import Task
from tests.evaluations import a_round, episode, evaluation, outcome, step, tasks, usage

EVIL = '<script src="http://evil.example/x.js">alert(1)</script>|`a`\n*b* \\ "\'&\u202e\x00 ]]> --> $x$'


def evil_evaluation():
    asked = (
        Task(f"{EVIL} what?", EVIL, "exact", domain=EVIL, difficulty=2),
        Task("1 + 1?", "2", "exact", domain="sums"),
    )
    error = {"type": "Timeout<b>", "message": EVIL, "infrastructure": True}
    flow = {"steps": [{"worker": EVIL.replace("\x00", ""), "subtask": "x", "access": []}]}
    steps = [step(0, EVIL, subtask=EVIL, text=EVIL, error=error, status="failed", answered_by=EVIL)]
    bad = a_round(0, "coder", steps=steps, workflow=flow, reached=EVIL)
    bad["plan"] |= {"text": EVIL, "error": error}
    episodes = {
        asked[0].id: (
            episode(asked[0], 0.0, answer=EVIL, rounds=(bad,), reached=EVIL, stopped=EVIL, error=EVIL),
        ),
        asked[1].id: (episode(asked[1], None, answer="", infra=EVIL, rounds=()),),
    }
    return evaluation(
        asked,
        Outcome(EVIL, "planner", episodes, note=EVIL),
        outcome("b", "single", asked, [1, 0]),
        Outcome("oracle " + EVIL, "ceiling", episodes, note=EVIL),
        reference="b",
        comparisons=((EVIL, "gone " + EVIL),),
        about={EVIL: EVIL},
        complete=False,
    )


def usual(n=30):
    asked = tasks(n)
    scores = [None, *[float(i % 3 > 0) for i in range(1, n)]]
    return evaluation(
        asked,
        outcome("single(coder)", "single", asked, scores),
        outcome("planned", "planner", asked, [1.0] * n, rounds=(a_round(0, "coder", "critic"),)),
        outcome("random", "floor", asked, scores, workers=usage(1, 10, None)),
        outcome("oracle", "ceiling", asked, [1.0] * n),
        reference="single(coder)",
    )


@pytest.fixture(scope="module")
def evil(tmp_path_factory):
    return [path.read_text() for path in write_report(evil_evaluation(), tmp_path_factory.mktemp("evil"))]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return [path.read_text() for path in write_report(usual(), tmp_path_factory.mktemp("plain"))]


class Page(HTMLParser):
    """Checks that tags close, and collects text and what could be loaded or run."""

    VOID = {"meta", "br", "link", "img", "input", "hr"}

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.loads, self.texts = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            if name in {"src", "href", "xlink:href", "srcset", "data", "action"}:
                self.loads.append(value)
            self.loads += re.findall(r"url\(([^)]*)\)", value or "")

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            assert "@import" not in data
            self.loads += re.findall(r"url\(([^)]*)\)", data)
        self.texts.append(data)


@pytest.mark.parametrize("which", ["evil", "plain"])
def test_the_page_is_whole_loads_nothing_and_runs_nothing(which, request):
    page = Page(request.getfixturevalue(which)[1])
    assert page.open == []
    assert not {"script", "img", "iframe", "link", "object", "embed", "image", "b<"} & set(page.tags)
    assert all(load.startswith("#") for load in page.loads), page.loads
    assert page.tags.count("svg") >= 5
    assert {"details", "summary", "table", "style"} <= set(page.tags)


def test_a_page_has_every_id_once(plain):
    ids = re.findall(r' id="([^"]*)"', plain[1])
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]*)', plain[1])) <= set(ids)


def test_what_models_wrote_is_shown_as_text(evil):
    text = "".join(Page(evil[1]).texts)
    # Question, gold, answer, plan, subtask, output, errors: all say it, none is markup.
    assert text.count('<script src="http://evil.example/x.js">') >= 10
    assert "\u202e" not in evil[1]
    assert "\x00" not in evil[1]
    assert "<script" not in evil[0]
    assert "\u202e" not in evil[0]


def cells(line):
    assert line.startswith("| ")
    assert line.endswith(" |")
    return re.split(r"(?<!\\)\|", line.replace("\\\\", ""))[1:-1]


@pytest.mark.parametrize("which", ["evil", "plain"])
def test_markdown_tables_are_rectangular(which, request):
    blocks = [
        b.split("\n") for b in request.getfixturevalue(which)[0].strip().split("\n\n") if b.startswith("|")
    ]
    assert len(blocks) >= 10
    for head, line, *rows in blocks:
        assert set(line) == set("|- ")
        assert rows
        assert {len(cells(row)) for row in (head, *rows)} == {len(cells(line))}
        if which == "plain":
            assert len({*map(len, (head, line, *rows))}) == 1, "the columns are aligned"


def test_markdown_has_no_markup_from_outside():
    assert in_markdown("a|b\nc `d` *e* _f_ <i> & [x](y) ~z~") == (
        r"a\|b c \`d\` \*e\* \_f\_ &lt;i&gt; &amp; [x\](y) \~z\~"
    )
    assert in_markdown("p < 0.001, a <b> < /c>") == "p < 0.001, a &lt;b&gt; < /c&gt;"
    assert in_markdown("# a") == r"\# a"
    assert in_markdown("1. a") == r"1\. a"
    assert in_markdown("- a") == r"\- a"
    assert in_markdown("-1.0 [-2.0, +3.0]") == "-1.0 [-2.0, +3.0]"
    assert in_markdown("$0.1") == "$0.1"
    assert in_markdown("$x$") == r"\$x\$"


def test_what_was_shown_comes_first(plain):
    first = plain[0].split("\n")[:12]
    assert first[0] == "# Evaluation of arithmetic, test"
    said = "\n".join(first)
    assert "planned is better than single(coder): +31.0 points, interval [" in said
    assert "No difference shown between single(coder) and random." in said
    assert said.index("planned is better") < said.index("No difference shown")
    assert "on the training split. It is right in 69.0 % [50.8, 82.7]." in said
    assert "INCOMPLETE" not in plain[0]
    assert "oracle and" not in said


def test_an_incomplete_evaluation_says_so_before_anything_else(evil):
    assert "INCOMPLETE" in evil[0].split("\n")[2]
    page = evil[1]
    assert 0 < page.index("INCOMPLETE") < page.index("<h2>")


def test_sentences():
    paired = Paired(120, 0, -0.2, -0.3, -0.1, 0.0001, 9, 7, 0.09)
    assert sentence(Comparison("X", "Y", paired, 0.0004, "worse")) == (
        "X is worse than Y: -20.0 points, interval [-30.0, -10.0], p < 0.001 (< 0.001 adjusted), on 120 tasks."
    )


def test_what_was_left_out_is_told_with_a_verdict():
    asked = tasks(40)
    alone = outcome("single(a)", "single", asked, [0.0] * 20 + [1.0] * 20)
    easy = outcome("planned", "planner", asked, [1.0 if i < 12 else None for i in range(40)])
    said = findings(summarise(evaluation(asked, alone, easy, reference="single(a)"))).sentences
    (shown,) = [text for text in said if text.startswith("planned is better than single(a)")]
    assert shown.endswith(", on 12 tasks; 28 left out.")
    assert "failed 28 episodes" in said[-1]
    assert "flatters whom they struck" in said[-1]


def test_training_outages_are_told_beside_the_reference(many):
    def told(**about):
        return findings(replace(many, about=about)).sentences[1]

    assert told(training={"outages": 0}) == told()
    assert "on the training split (3 outages there counted as not right). It is" in told(
        training={"outages": 3}
    )


def test_a_vote_that_costs_less_is_not_said_to_cost_as_much():
    asked = tasks(8)

    def said(votes, planned):
        made = evaluation(
            asked,
            outcome("single(a)", "single", asked, [1.0] * 8),
            outcome("majority(a, 64)", "fixed", asked, [1.0] * 8, workers=votes),
            outcome("planned", "planner", asked, [1.0] * 8, workers=planned),
            comparisons=(("planned", "majority(a, 64)"),),
        )
        return [text.split(":")[0] for text in findings(summarise(made)).sentences if "vote" in text]

    less, equal = (f"Planners against a majority vote that costs {what}" for what in ("less", "as much"))
    assert said(usage(64, 640, "0.64"), usage(9, 640, "0.80")) == [less]
    assert said(usage(64, 640, "0.64"), usage(9, 9000, "0.64")) == [equal]
    assert said(usage(64, 640, "0"), usage(9, 900, "0.64")) == [less]  # it is sized by tokens then
    assert said(usage(64, 900, None), usage(9, 900, "0.64")) == [equal]


def head_of(found, *comparisons):
    """What the head says of these comparisons: (a, b, difference, verdict), all on 40 tasks."""
    made = tuple(
        Comparison(a, b, Paired(n, 0, points, points - 0.1, points + 0.1, 0.5, 1, 2, 0.12), 0.5, verdict)
        for a, b, points, verdict, n in comparisons
    )
    return findings(replace(found, comparisons=made)).sentences


@pytest.fixture(scope="module")
def many():
    asked = tasks(4)
    names = ("described", "described, 2 rounds", "described + profiles", "described + profiles, 2 rounds")
    others = ("single(a)", "single(b)", "single(b), 2 rounds", "majority(a, 3)")
    made = [outcome(name, "planner", asked, [1.0] * 4) for name in names]
    made += [outcome(name, "fixed", asked, [0.0] * 4) for name in others]
    return summarise(evaluation(asked, *made, reference="single(a)"))


def test_the_head_spells_out_planners_and_names_the_rest_once(many):
    no, first = "no difference shown", "single(a)"
    said = head_of(
        many,
        ("described", first, 0.05, no, 40),
        ("described, 2 rounds", first, 0.02, no, 40),
        ("described", "majority(a, 3)", -0.05, no, 40),
        ("described + profiles", "described", 0.0, no, 40),
        ("described + profiles, 2 rounds", "described, 2 rounds", 0.01, no, 40),
        ("described, 2 rounds", "described", -0.03, no, 40),
        ("single(b)", first, 0.0, no, 40),
        ("majority(a, 3)", first, 0.0, no, 40),
        ("single(b), 2 rounds", "single(b)", 0.0, no, 40),
    )[2:]
    assert said[0] == "9 comparisons made; a difference was shown in none."
    starts = [sentence.partition(": no difference shown. ") for sentence in said[1:5]]
    assert [start for start, _, _ in starts] == [
        "Planners against the reference single(a)",
        "Planners against a majority vote that costs as much",
        "What profiles are worth",
        "What a second round is worth to planners",
    ]
    assert starts[0][2] == (
        "described +5.0 points, interval [-5.0, +15.0], p = 0.50; described, 2 rounds +2.0 points, interval "
        "[-8.0, +12.0], p = 0.50. With these 40 tasks a difference under 12.0 points would usually not be seen."
    )
    assert "described + profiles, 2 rounds +1.0 points" in starts[2][2]
    assert said[5:] == (
        "No difference shown between single(a) and each of single(b) / majority(a, 3); nor between a second "
        "round and none for single(b).",
    )


def test_the_head_tells_what_accuracy_does_not():
    asked = tasks(3)
    episodes = {
        asked[0].id: (episode(asked[0], 1.0, valid=False),),
        asked[1].id: (episode(asked[1], 0.0, answer="", error="the tool is not there"),),
        asked[2].id: (episode(asked[2], 0.0, answer="", stopped="the budget ends here"),),
    }
    made = [Outcome("planned", "planner", episodes), outcome("single(a)", "single", asked, [1.0] * 3)]
    said = findings(summarise(evaluation(asked, *made, reference="single(a)"))).sentences
    assert said[-3:] == (
        "Episodes that were not planned by the planner itself in every round: planned 1 of 3.",
        "The budget of an episode ended 1 episode; one without an answer is wrong.",
        "Episodes without an answer, by no outage, which are wrong: planned 1.",
    )


def test_shown_differences_come_first_the_largest_first(many):
    said = head_of(
        many,
        ("single(b)", "single(a)", 0.2, "better", 40),
        ("described", "single(a)", -0.4, "worse", 40),
        ("described, 2 rounds", "single(a)", 0.0, "no difference shown", 0),
    )[3:]
    assert [text.split(":")[0] for text in said] == [
        "described is worse than single(a)",
        "single(b) is better than single(a)",
        "Planners against the reference single(a)",
    ]
    assert said[2].endswith("no difference shown, as no task has a score from both.")


def test_the_head_says_what_the_strategies_used(many):
    def first(**about):
        return findings(replace(many, about=about)).sentences[0]

    assert first() == "Asked: 4 tasks of the suite arithmetic, split test, of 8 strategies."
    paid = {"date": "2030-01-02", "options": {"samples": 3}, "charged": usage(5, 100, "0.25").to_json()}
    assert first(**paid).endswith(
        "8 strategies, each 3 times, on 2030-01-02. They used $0.25 for 5 model calls."
    )
    free = {"charged": usage(1, 10, None).to_json()}
    assert first(**free).endswith("They used $0 for 1 model call, none with a known price.")


def test_a_terminal_is_shown_the_head_and_the_accuracy(plain):
    shown = opening(plain[0])
    assert plain[0].startswith(shown.rstrip())
    assert re.findall("^## (.*)$", shown, re.MULTILINE) == ["What was shown", "Accuracy and cost"]
    assert "| planned " in shown
    assert len(shown.split("\n")) < 30


def test_what_is_needed_to_repeat_it_has_a_row_each(tmp_path):
    about = {"versions": {"a": "1.2", "b": "3"}, "stopped": "", "profiles": {"long": "one"}}
    text = write_report(evaluation(tasks(1), about=about), tmp_path)[0].read_text()
    rows = [re.sub(" +", " ", line) for line in text.split("\n") if line.startswith("| ")]
    assert {"| versions, a | 1.2 |", "| versions, b | 3 |", "| stopped | \N{EN DASH} |"} <= {*rows}
    assert "long" not in text


def test_every_strategy_is_explained(many, tmp_path):
    text = write_report(evaluation(tasks(1), Outcome("x", "fixed", {}, note="as it is")), tmp_path)[
        0
    ].read_text()
    rows = text.split("## Strategies")[1].split("\n## ")[0]
    assert re.search(r"\| x +\| fixed +\| as it is", rows)


def test_figures():
    assert [dollars(usd) for usd in (None, 0, 0.000012345, 0.0238, 0.5, 12.345)] == [
        "unknown", "$0", "$0.0000123", "$0.0238", "$0.5", "$12.35",
    ]  # fmt: skip
    assert [points(d) for d in (0.0, -0.0001, 0.012, -0.5)] == ["0.0", "0.0", "+1.2", "-50.0"]
    assert [chance(p) for p in (0.0001, 0.0123, 0.62, 1.0)] == ["< 0.001", "0.012", "0.62", "1.00"]


def test_unknown_money_is_unknown_in_both(plain):
    for row in (line for line in plain[0].split("\n") if line.startswith("| random (floor)")):
        assert cells(row)[5].strip() == "unknown"
        break
    else:
        pytest.fail("no row")
    assert "in tokens" in plain[0]


def test_failed_tasks_open_with_their_workflow(tmp_path):
    asked = tasks(3)
    failed = a_round(0, "coder", "critic")
    failed["steps"][1] |= {"granted": [[0, 0]], "text": "part 1 wrong", "answered_by": "spare"}
    one = evaluation(
        asked,
        Outcome(
            "planned",
            "planner",
            {
                asked[0].id: (
                    episode(asked[0], 1.0),
                    episode(asked[0], 0.0, answer="no idea", rounds=(failed,)),
                ),
                asked[1].id: (episode(asked[1], 1.0),),
                asked[2].id: (episode(asked[2], None, infra="the line is dead", rounds=()),),
            },
        ),
    )
    page = write_report(one, tmp_path)[1].read_text()
    wrong, outages = page.split("<h2>Wrong answers</h2>")[1].split("<h2>Infrastructure failures</h2>")
    for text in (
        asked[0].question,
        "no idea",
        "(1 of 2 samples)",
        "parsed unaided",
        "I plan.",
        "Do part 1.",
        "critic",
    ):
        assert text in wrong, text
    for text in ("part 1 wrong", "the question, step 0", "spare", "<svg", "planned: 1 task<"):
        assert text in wrong, text
    assert asked[1].question not in page
    assert asked[2].question not in wrong
    assert asked[2].question in outages
    assert "the line is dead" in outages


def test_many_failures_are_capped_and_long_texts_cut_and_both_say_so(tmp_path):
    asked = tasks(MOST_ITEMS * 3)
    long = "x" * 5000 + "END"
    page = write_report(
        evaluation(asked, outcome("a", "single", asked, [0] * len(asked), answer=long)), tmp_path
    )[1]
    text = page.read_text()
    assert f"{MOST_ITEMS} of {len(asked)} are shown, evenly spread; all are in evaluation.json" in text
    assert text.count("<dt>right answer</dt>") == MOST_ITEMS
    assert asked[3].question in text
    assert asked[4].question not in text
    assert f"{5003 - MOST_TEXT:,} of 5,003 characters left out" in text
    assert "xxEND" in text


def test_cut_keeps_both_ends():
    assert cut("short", 5) == "short"
    assert cut("abcdefghi" * 10, 9) == "abcdef\n[… 81 of 90 characters left out …]\nghi"


def test_the_same_evaluation_gives_the_same_bytes(tmp_path):
    one, two = (write_report(usual(), tmp_path / name) for name in "ab")
    assert [path.name for path in one] == ["report.md", "report.html", "evaluation.json"]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
    assert Evaluation.load(one[2]) == usual()


def test_a_report_of_nothing(tmp_path):
    asked = tasks(2)
    for one in (
        evaluation(()),
        evaluation(asked, outcome("a", "planner", asked, [None, None]), reference="a"),
    ):
        Page(write_report(one, tmp_path)[1].read_text())
        assert "No strategies were compared" in (tmp_path / "report.md").read_text()
    assert "The infrastructure failed 2 episodes" in (tmp_path / "report.md").read_text()


def test_a_missing_package_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "langgraph_conductor.evals.report.plots")
    with pytest.raises(ImportError, match=r"pip install 'langgraph-conductor\[eval\]'"):
        importlib.import_module("langgraph_conductor.evals.report.plots")
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(ImportError, match=r"pip install 'langgraph-conductor\[eval\]'"):
        sign_flip([1.0])


def test_plots_show_their_strategies_and_follow_the_pages_colours():
    found = summarise(usual())
    for name, shown in (
        ("cost", "planned"),
        ("forest", "planned \N{MINUS SIGN} single(coder)"),
        ("domains", "algebra"),
        ("workers", "critic"),
    ):
        svg = draw(name, found)
        assert svg.startswith("<svg")
        assert f">{shown}<" in svg, name
        assert "currentColor" in svg
        assert "010203" not in svg
    assert "oracle (ceiling)" in draw("cost", found)
    assert draw("forest", summarise(evaluation(()))) == ""


def test_a_drawn_workflow():
    flow = {
        "steps": [
            {"worker": "a", "subtask": "x", "access": []},
            {"worker": "a very long name of a worker", "subtask": "x", "access": []},
            {"worker": "c", "subtask": "x", "access": [0, 1]},
        ]
    }
    record = a_round(0, "a", "b", workflow=flow, steps=[step(0, "a"), step(1, "b", status="failed")])
    svg = workflow_svg(record)
    assert svg.count("<rect") == 3
    assert svg.count("<path") == 4  # two arrows with heads
    tops = re.findall(r'<rect class="[^"]*" x="[^"]*" y="([^"]*)"', svg)
    assert tops[0] == tops[1] != tops[2]
    assert "step 1 · failed" in svg
    assert "step 2 · not run" in svg
    assert "a very long name …" in svg
    assert workflow_svg(a_round(0)) == ""


def test_the_papers_figures_are_marked_and_whole(plain):
    section = plain[0].split("## The paper's figures, not ours")[1].split("\n## ")[0]
    rows = [re.sub(" +", " ", line) for line in section.split("\n") if line.startswith("| ")]
    for table in paper.TABLES:
        for benchmark, scores in table.scores.items():
            assert len(scores) == len(table.systems)
            assert all(0 < score < 100 for score in scores)
            row = [row for row in rows if row.startswith(f"| {benchmark} |") and f" {scores[0]:g} |" in row]
            assert row, benchmark
            assert row[0].endswith(f"| {paper.NOT_RUN} |")
    assert any(row.startswith("| this evaluation | planned |") for row in rows)
    assert any(row.startswith("| the paper | MASRouter |") and "$0.01345" in row for row in rows)


def test_the_papers_averages_come_out_as_printed():
    # From the paper's own averages, so that a slip of the pen would show.
    def mean(table, system):
        column = table.systems.index(system)
        return sum(scores[column] for scores in table.scores.values()) / len(table.scores)

    for system, printed in (
        ("Conductor 7B", 77.27),
        ("GPT-5", 74.78),
        ("Gemini 2.5 Pro", 70.97),
        ("Claude Sonnet 4", 65.69),
    ):
        assert mean(paper.UNCONSTRAINED, system) == pytest.approx(printed, abs=0.011)
    for cost in paper.COSTS:
        assert mean(paper.CONSTRAINED, cost.system) == pytest.approx(cost.score, abs=0.011)
    assert mean(paper.UNSEEN, "Conductor 7B, recursive") == pytest.approx(63.00, abs=0.011)

"""The examples of a conductor in other people's applications run, offline, and print what they should."""

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

PRINTED = {
    "node_in_an_app": """\
        user: Hello!
        greeter: Hello! Ask me something.
        user: Find 12.5% of 960.
        conductor: With pleasure: 120.
    """,
    "add_conductor": """\
        user: What is a fugue?
        research: Note 3. (rounds: 3)
        write: Answered; notes in the conversation: 1. (rounds: 1)
        user: And a canon?
        research: Note 3. (rounds: 3)
        write: Answered; notes in the conversation: 2. (rounds: 1)
    """,
    "tool_of_an_agent": """\
        ai: ask_the_team
        calculator: 120
        writer: An eighth of 960 is 120.
        tool: An eighth of 960 is 120.
        ai: The team says: 120.
    """,
    "deep_agent": """\
        human: Shall we change the test runner?
        ai: Should we move to the new test runner?
        tool: Worth it, once a third person has learnt it.
        ai: I asked the team, and agree: worth it.
    """,
    "agents_as_workers": """\
        scout: The Eiffel Tower has 330 m. (models called: 2; height said 330 m)
        surveyor: Big Ben has 96 m. (models called: 2; height said 96 m)
        checkers: 234 m higher. (models called: 2; no tools)
        234 m higher.
    """,
    "entrypoint": """\
        tidied
        **Request:**

        > How many are 17 * 23?

        **Plan:**

        **0. calculator** (reads the request)

        > 17 * 23

        **1. writer** (reads the request and step 0)

        > Say it.
        How many are 17 * 23? They are 391.
        planned 1 time
    """,
    "customer_support": """\
        customer: Where is my order 18?
        assistant: I have looked: a desk, on its way.
        customer: And the lamp arrived broken!
        team: Dear Ada, we are sorry. A new lamp leaves our house today.
    """,
    "research_assistant": """\
        origin: In 1593 it was planted in Leiden.
        prices: So pamphlets said; contracts show less.
    """,
    "sql_agent": """\
        human: Which genre sells best?
        query_team: SELECT genre, SUM(copies) AS copies FROM sales JOIN tracks ON track = id GROUP BY genre ORDER BY 2 DESC
        ai: Jazz sells best: 11 copies; rock has 7.
        [('jazz', 11), ('rock', 7)]
    """,
}

APPS = {  # and what each prints, among other things, without the conductor
    "customer_support": "complaints: Sorry, Ada. Please write to us.",
    "research_assistant": "prices: A bulb cost as much as a house in 1637.",
    "sql_agent": "ai: The database refuses it: no such column: amount",
}


ELSEWHERE = {"four_providers", "ten_lines"}  # test_models.py, and test_embedded.py for the embedded models


def test_every_example_is_run_by_a_test():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*PRINTED, *ELSEWHERE}


def lines(text):
    return [line.strip() for line in text.strip().splitlines()]


@pytest.mark.parametrize("name", PRINTED)
def test_an_example_prints_what_it_is_there_to_show(name, capsys):
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert lines(capsys.readouterr().out) == lines(PRINTED[name])


@pytest.mark.parametrize("name", APPS)
def test_an_app_takes_the_conductor_in_with_five_lines(name, tmp_path, capsys):
    code = (EXAMPLES / f"{name}.py").read_text().splitlines()
    marked = [line for line in code if line.endswith("# conductor")]
    assert 1 < len(marked) <= 5
    rest = "\n".join(line for line in code if line not in marked)
    # Nothing but the fakes is left of the package, and the app runs as it did before.
    uses = [
        line for line in rest.splitlines() if line.startswith(("import langgraph_c", "from langgraph_c"))
    ]
    assert uses == ["from langgraph_conductor.testing import ScriptedModel, plan_text"]
    (tmp_path / "plain.py").write_text(rest)
    runpy.run_path(str(tmp_path / "plain.py"), run_name="__main__")
    printed = lines(capsys.readouterr().out)
    assert APPS[name] in printed
    assert printed != lines(PRINTED[name])

"""An SQL agent: a question in words, a query, its rows, an answer. The database is a real one, in memory.

The app has the shape of LangGraph's SQL agent tutorial: read the schema, write a query, run it, go back if the
database refuses it, answer. Five lines, marked `# conductor`, give the writing to a team: a coder drafts, a tester
has the database explain the draft without running it, the coder mends it.

The models are played. Put your own in: model strings such as `"openai:gpt-5"` in place of `ScriptedModel(...)`.
"""

import sqlite3
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import END, START, MessagesState, StateGraph

from langgraph_conductor import Worker, add_conductor  # conductor
from langgraph_conductor.testing import ScriptedModel, plan_text

database = sqlite3.connect(":memory:", check_same_thread=False)
database.executescript("""
    CREATE TABLE tracks (id INTEGER PRIMARY KEY, title TEXT, genre TEXT);
    CREATE TABLE sales (track INTEGER REFERENCES tracks, copies INTEGER);
    INSERT INTO tracks VALUES (1, 'Blue', 'jazz'), (2, 'Red', 'rock'), (3, 'Green', 'jazz');
    INSERT INTO sales VALUES (1, 5), (2, 7), (3, 4), (1, 2);
""")
database.execute("PRAGMA query_only = ON")  # whatever a model writes, nothing changes

WRONG = "SELECT genre, SUM(amount) AS copies FROM sales JOIN tracks ON track = id GROUP BY genre ORDER BY 2 DESC"
RIGHT = WRONG.replace("amount", "copies")
CODER = ScriptedModel(replies=[WRONG, RIGHT])
TELLER = ScriptedModel(replies=["Jazz sells best: 11 copies; rock has 7."])
PLANNER = ScriptedModel(
    replies=[
        plan_text(
            ("coder", "Write the query.", []),
            ("tester", "Does it run?", [0]),
            ("coder", "Mend it if need be; give the query alone.", [0, 1]),
        )
    ]
)


class Shop(MessagesState, total=False):
    schema: str
    rows: str


def read_schema(state: Shop) -> dict[str, str]:
    return {"schema": "\n".join(sql for (sql,) in database.execute("SELECT sql FROM sqlite_schema"))}


def prompt(state: Shop) -> str:
    talk = "\n".join(str(message.text) for message in state["messages"])
    return f"Write one SQLite query.\n{state['schema']}\n{talk}"


def write_query(state: Shop) -> dict[str, list[AIMessage]]:
    return {"messages": [CODER.invoke(prompt(state))]}


def refusal(query: str) -> str:
    try:
        database.execute(f"EXPLAIN {query}")
    except sqlite3.Error as error:
        return f"The database refuses it: {error}"
    return ""


def run_query(state: Shop) -> dict[str, Any]:
    query = str(state["messages"][-1].text)
    if why := refusal(query):
        return {"rows": "", "messages": [AIMessage(why)]}
    return {"rows": repr(database.execute(query).fetchall())}


def answer(state: Shop) -> dict[str, list[AIMessage]]:
    return {"messages": [TELLER.invoke(f"{state['messages'][0].text}\nThe rows: {state['rows']}")]}


def after_query(state: Shop) -> str:
    return "answer" if state["rows"] else writer


writer = "write_query"
builder = StateGraph(Shop)
builder.add_node("read_schema", read_schema)
builder.add_node("write_query", write_query)
builder.add_node("run_query", run_query)
builder.add_node("answer", answer)
writer = "query_team"  # conductor
tester = Worker("tester", lambda task: refusal(task.inputs[0].text) or "It runs.")  # conductor
team = [Worker("coder", CODER), tester]  # conductor
add_conductor(builder, PLANNER, team, name=writer, then="run_query", get_question=prompt)  # conductor
builder.add_edge(START, "read_schema")
builder.add_edge("read_schema", writer)
builder.add_edge("write_query", "run_query")
builder.add_conditional_edges(
    "run_query", lambda state: "answer" if state["rows"] else writer, ["answer", writer]
)
builder.add_edge("answer", END)
app = builder.compile()

if __name__ == "__main__":
    result = app.invoke({"messages": [HumanMessage("Which genre sells best?")]})
    for message in result["messages"]:
        print(f"{message.name or message.type}: {message.text}")
    print(result["rows"])

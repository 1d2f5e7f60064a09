"""Pages as a browser shows them: the page of a run, the report of an evaluation, and a notebook's frame."""

import pytest
from PIL import Image

from langgraph_conductor.display import RunView, run_page
from langgraph_conductor.evals.report.page import page as report_page
from langgraph_conductor.evals.summarising import summarise
from tests.long_tests.chromium import chromium
from tests.runs import HOSTILE, rich_run
from tests.unit_tests.test_evals_report import evil_evaluation, usual

WIDTHS = (1280, 400)


@pytest.fixture
def browser(tmp_path):
    with chromium(tmp_path) as started:
        yield started


@pytest.fixture(scope="module")
def pages():
    def report(evaluation):
        return report_page(evaluation, summarise(evaluation))

    return {
        "run": run_page(rich_run(0.1)),
        "evil report": report(evil_evaluation()),
        "report": report(usual()),
    }


def test_the_browser_runs_scripts_and_its_requests_are_seen(browser, tmp_path):
    page = f"<!DOCTYPE html><title>bare</title><body>{HOSTILE.encode(errors='replace').decode()}"
    (tmp_path / "bare.html").write_text(page)
    assert 'data-ran="1"' in browser.dom(tmp_path / "bare.html")
    assert any("evil.example" in line for line in browser.asked)
    assert browser.measured(page, 400)["ran"]


@pytest.mark.parametrize("wide", WIDTHS)
@pytest.mark.parametrize("name", ["run", "evil report", "report"])
def test_a_page_fits_and_runs_and_loads_nothing(browser, pages, name, wide):
    found = browser.measured(pages[name], wide)
    assert found["wide"] == wide
    assert found["needs"] <= wide
    assert found["lost"] == []
    assert not found["ran"]
    assert browser.asked == []


def test_everything_of_a_run_can_be_seen(browser, pages):
    text = browser.measured(pages["run"], 1280)["text"]
    for part in (
        "What did herrings cost? </dd></div></title></style></textarea><script>document.",
        "It is right.", "2 rounds", "6 steps", "4 model calls",
        "rejected workflow 0: Look it up.", "Just guess.", "let it run", "edited it", "the workflow as it was planned",
        "0 planning", "0.0 archivist", "search", "broken", "1.1 checker",
        "2 tool calls: search, broken", '{"query": "herrings"}', "OSError: the archive is shut",
        "weak failed", "ConnectionError: the line is cut", "answered by", "step 0 of round 0 (chosen)",
        "1 model call", "without a known price", "worker archivist",
    ):  # fmt: skip
        assert part in text


def test_rounds_stand_side_by_side_where_there_is_room(browser, pages):
    tops = {wide: browser.measured(pages["run"], wide)["tops"] for wide in WIDTHS}
    assert len(set(tops[1280])) == 1
    assert len(set(tops[400])) == 2


@pytest.mark.parametrize("dark", [False, True])
def test_a_page_is_drawn_light_and_dark(browser, pages, dark, tmp_path):
    (tmp_path / "run.html").write_text(pages["run"], encoding="utf-8")
    with Image.open(browser.screenshot(tmp_path / "run.html", 1280, 1600, dark=dark)) as picture:
        assert picture.size == (1280, 1600)
        shades = picture.convert("L").histogram()
    light, total = sum(shades[128:]), sum(shades)
    assert (light < total / 4) if dark else (light > total * 3 / 4)
    assert min(light, total - light) / total > 0.02  # there is something on it


def test_a_notebooks_frame_shows_the_page_and_leaves_the_notebook_alone(browser, tmp_path):
    cell = RunView(rich_run())._repr_html_()
    (tmp_path / "cell.html").write_text(
        f'<!DOCTYPE html><meta charset="utf-8"><body style="margin:0"><h1 style="color:#f0f">A notebook</h1>{cell}',
        encoding="utf-8",
    )
    with Image.open(browser.screenshot(tmp_path / "cell.html", 1000, 800)) as picture:
        shown = picture.convert("RGB")
        heading = shown.crop((0, 0, 1000, 70)).getcolors(1 << 20)
        inside = shown.crop((0, 100, 1000, 700)).convert("L").histogram()
    assert any(colour == (255, 0, 255) for _, colour in heading)
    assert sum(inside[:128]) > 5_000  # words
    assert browser.asked == []

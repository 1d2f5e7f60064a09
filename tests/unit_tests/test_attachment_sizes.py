"""What attachments cost in tokens: never by the length of their base64, in every spelling, and in little time."""

import base64
import os
import struct
import time
import zlib

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from langgraph_conductor import (
    Budget,
    BudgetExceededError,
    Worker,
    WorkerPool,
    create_conductor,
    parse_workflow,
)
from langgraph_conductor.planners import fixed
from langgraph_conductor.prices import Model
from langgraph_conductor.testing import ScriptedModel
from langgraph_conductor.workers import attachment_sizes
from langgraph_conductor.workers.attachment_sizes import Attachment, attachments_in, cost
from langgraph_conductor.workers.counting import likely_tokens, most_tokens

RAW = os.urandom(300_000)
DATA = base64.b64encode(RAW).decode()
CLAUDE, GEMINI, GPT, OWN = (
    Model("claude-sonnet-4-5", "anthropic"), Model("gemini-2.5-pro", "google_genai"), Model("gpt-5", "openai"),
    Model("q", "openai"),
)  # fmt: skip


def in_base64(raw):
    return base64.b64encode(raw).decode()


def pdf(count, packed=False, padding=0):
    pages = b"<</Type/Pages/Count %d/Kids[]>>" % count
    if packed:
        pages = b"<</Type/ObjStm/N 1/First 5/Filter/FlateDecode>>stream\r\n%s\nendstream" % zlib.compress(
            pages
        )
    return b"%PDF-1.5\n1 0 obj\n" + b"%" * padding + pages + b"\nendobj"


def png(wide, high):
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", wide, high) + b"\x08\x02\0\0\0"


def jpeg(wide, high):
    return (
        b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x11\x08" + struct.pack(">HH", high, wide) + b"\x03" + bytes(20)
    )


def wav(seconds, rate=32_000):
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 0, b"WAVE", b"fmt ", 16, 1, 1, rate // 2, rate, 2, 16)
    return head + bytes(seconds * rate - len(head))


def mp4(seconds):
    return (
        b"\0\0\0\x18ftypmp42"
        + bytes(40)
        + b"mvhd"
        + struct.pack(">IIIII", 0, 0, 0, 1000, 1000 * seconds)
        + bytes(99)
    )


SPELLINGS = [
    ("image", {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DATA}"}}),
    ("image", {"type": "image_url", "image_url": f"data:image/png;base64,{DATA}"}),
    ("image", {"type": "input_image", "image_url": f"data:image/png;base64,{DATA}", "detail": "auto"}),
    ("image", {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}}),
    ("image", {"type": "image", "source_type": "base64", "mime_type": "image/png", "data": DATA}),
    ("image", {"type": "image", "base64": DATA, "mime_type": "image/png"}),
    ("image", {"type": "media", "mime_type": "image/png", "data": RAW}),
    ("image", {"inline_data": {"mime_type": "image/png", "data": DATA}}),
    ("image", {"image": {"format": "png", "source": {"bytes": RAW}}}),
    ("image", {"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": f"data:image/png;base64,{DATA}"}}),
    ("image", {"type": "image_generation_call", "id": "ig", "result": DATA}),
    ("image", {"type": "tool_result", "content": [{"type": "image", "source": {"type": "base64", "data": DATA}}]}),
    ("image", {"type": "function_call_output", "output": [{"type": "input_image", "image_url": f"data:image/png;base64,{DATA}"}]}),
    ("file", {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{DATA}", "filename": "a.pdf"}}),
    ("file", {"type": "input_file", "file_data": f"data:application/pdf;base64,{DATA}", "filename": "a.pdf"}),
    ("file", {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": DATA}, "title": "A"}),
    ("file", {"type": "file", "source_type": "base64", "mime_type": "application/pdf", "data": DATA}),
    ("file", {"type": "file", "base64": DATA, "mime_type": "application/pdf", "filename": "a.pdf"}),
    ("file", {"type": "media", "mime_type": "application/pdf", "data": DATA}),
    ("file", {"document": {"format": "pdf", "name": "a", "source": {"bytes": RAW}}}),
    ("audio", {"type": "input_audio", "input_audio": {"data": DATA, "format": "mp3"}}),
    ("audio", {"type": "audio", "source_type": "base64", "mime_type": "audio/mp3", "data": DATA}),
    ("audio", {"type": "audio", "base64": DATA, "mime_type": "audio/mp3"}),
    ("audio", {"type": "audio_url", "audio_url": {"url": f"data:audio/mp3;base64,{DATA}"}}),
    ("video", {"type": "video", "base64": DATA, "mime_type": "video/mp4"}),
    ("video", {"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{DATA}"}}),
    ("video", {"type": "media", "mime_type": "video/mp4", "data": DATA}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "block"), SPELLINGS)
@pytest.mark.parametrize("message", [HumanMessage, lambda content: ToolMessage(content, tool_call_id="1")])
def test_base64_is_never_counted_as_text(kind, block, message):
    rest, (found,) = attachments_in([block])
    assert found.kind == kind
    assert len(str(rest)) < 200
    expected = {"image": 1_500, "file": 4_500, "audio": 600, "video": 360}[kind]
    assert expected <= likely_tokens([message([block])]) < expected + 50
    most = most_tokens([message([block])])
    least = {"image": 50_000, "file": 3 * 5_000, "audio": 19 * 50, "video": 24 * 300}[kind]
    assert least <= most
    assert most_tokens([message([block])], window=9_000) <= 9_000 + 300


def test_text_beside_attachments_is_counted():
    shown = {"type": "image", "base64": DATA, "mime_type": "image/png"}
    text = {"type": "text", "text": "x" * 4_000}
    beside = {"type": "tool_result", "content": [shown, text]}
    assert 1_500 + 1_000 <= likely_tokens([HumanMessage([beside])]) < 1_500 + 1_050
    titled = {
        "type": "document",
        "title": "t" * 4_000,
        "source": {"type": "base64", "media_type": "image/png", "data": "eA=="},
    }
    assert likely_tokens([HumanMessage([titled])]) >= 1_500 + 1_000


@pytest.mark.parametrize(
    "block",
    [
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x" * 4_000}},
        {"type": "file", "source_type": "text", "text": "x" * 4_000},
        {"type": "text-plain", "text": "x" * 4_000, "mime_type": "text/plain"},
        {"type": "text-plain", "base64": in_base64(b"x" * 4_000), "mime_type": "text/plain"},
        {"type": "tool_use", "id": "1", "name": "draw", "input": {"type": "image", "data": "x" * 4_000}},
    ],
)
def test_what_is_text_is_counted_as_text(block):
    assert 1_000 <= likely_tokens([HumanMessage([block])]) < 1_050
    assert most_tokens([HumanMessage([block])]) >= 4_000


def test_what_a_model_said_aloud_is_not_sent_back():
    said = AIMessage("", additional_kwargs={"audio": {"id": "a", "data": DATA, "transcript": "x" * 400}})
    assert likely_tokens([said]) < 1_000


@pytest.mark.parametrize(
    "block",
    [
        {"type": "file", "url": "https://x/y.pdf"}, {"type": "file", "source_type": "id", "id": "f"},
        {"type": "document", "source": {"type": "file", "file_id": "f"}}, {"type": "audio", "url": "https://x/y.mp3"},
        {"file_data": {"file_uri": "gs://x", "mime_type": "video/mp4"}}, {"type": "input_file", "file_url": "https://x"},
    ],
)  # fmt: skip
def test_what_is_sent_by_reference_is_likely_of_a_usual_size_and_has_no_most(block):
    assert 200 < likely_tokens([HumanMessage([block])]) < 20_000
    assert most_tokens([HumanMessage([block])]) is None


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "url": "https://x/y.png"}, {"type": "image", "file_id": "f"},
        {"type": "image", "source": {"type": "url", "url": "https://x"}}, {"type": "image_url", "image_url": "https://x"},
        {"type": "media", "file_uri": "gs://x", "mime_type": "image/png"},
    ],
)  # fmt: skip
def test_images_have_a_most_wherever_they_are(block):
    assert 50_000 <= most_tokens([HumanMessage([block])]) < 50_200
    assert 5_000 <= most_tokens([HumanMessage([block])], model=CLAUDE) < 5_200


def test_links_in_what_models_wrote_are_text():
    found = {
        "type": "web_search_tool_result",
        "content": [{"type": "web_search_result", "url": "https://x", "title": "y"}],
    }
    cited = {"type": "text", "text": "see", "annotations": [{"type": "url_citation", "url": "https://x"}]}
    assert most_tokens([AIMessage([found, cited])]) < 500


@pytest.mark.parametrize(
    ("wide", "high", "model", "tokens"),
    [
        (600, 750, CLAUDE, 600), (8_000, 8_000, CLAUDE, 1_600), (300, 300, GEMINI, 258), (1_000, 700, GEMINI, 516),
        (512, 512, GPT, 255), (1_024, 1_024, GPT, 765), (4_096, 2_048, GPT, 1_105),
    ],
)  # fmt: skip
@pytest.mark.parametrize("made", [png, jpeg])
def test_an_image_costs_what_its_provider_counts(wide, high, model, tokens, made):
    assert cost(Attachment("image", "image/x", in_base64(made(wide, high))), model).likely == tokens


def test_an_image_of_low_detail_is_cheap():
    assert cost(Attachment("image", "image/png", in_base64(png(2_000, 2_000)), "low"), GPT).likely == 85


@pytest.mark.parametrize(
    "raw",
    [
        pdf(12), pdf(12, packed=True), pdf(12, packed=True, padding=600_000), b"%PDF-1.4 <</Linearized 1/L 9/N 12>>",
        b"%PDF-1.4" + b"<</Type /Page>>" * 12 + b"/Type /PageLabel",
    ],
)  # fmt: skip
def test_pages_of_a_pdf_are_counted(raw):
    for given in (in_base64(raw), raw):
        found = Attachment("file", "application/pdf", given)
        assert cost(found, CLAUDE).likely == 12 * 2_000
        assert cost(found, CLAUDE).most == 12 * 10_000
        assert cost(found, GEMINI).likely == 12 * 300


@pytest.mark.parametrize(("raw", "seconds"), [(wav(7), 7), (mp4(7), 7), (bytes(7 * 16_000), 7)])
def test_audio_costs_by_the_second(raw, seconds):
    found = Attachment("audio", "audio/x", in_base64(raw))
    assert abs(cost(found, GEMINI).likely - 32 * seconds) <= 1
    assert abs(cost(found, GPT).likely - 10 * seconds) <= 1
    assert cost(found, GPT).most >= 50 * seconds


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"%PDF", b"RIFF0000WAVE", b"RIFF\0\0\0\0WEBPVP8X", b"\xff\xd8\xff", b"\0\0\0\x18ftyp mvhd", b"GIF8",
        b"%PDF" + b"/ObjStm stream" * 99, mp4(0), b"\x89PNG\r\n\x1a\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["image", "file", "audio", "video"])
def test_damaged_files_have_a_cost_too(raw, kind):
    for given in (raw, in_base64(raw), "not base64: ü", "ü" * 5):
        found = cost(Attachment(kind, "", given), CLAUDE)
        assert 0 <= found.likely <= found.most


def test_pages_of_a_file_are_counted_once(monkeypatch):
    counted = []
    monkeypatch.setattr(attachment_sizes, "_page_count", lambda parts: counted.append(1) or 3)
    one, other = (in_base64(b"%PDF-1.4" + os.urandom(200_000)) for _ in range(2))
    for payload in (one, one[:100] + one[100:], other, one):
        assert cost(Attachment("file", "application/pdf", payload), CLAUDE).likely == 6_000
    assert len(counted) == 2


def test_large_payloads_take_no_time():
    # Its length alone must not matter: ten times as much takes about as long.
    def seconds(payload):
        began = time.perf_counter()
        for _ in range(5):
            likely_tokens(
                [HumanMessage([{"type": "file", "mime_type": "application/pdf", "base64": payload}])]
            )
        return time.perf_counter() - began

    short, long = (in_base64(b"%PDF-1.4" + RAW[:200_000] * times) for times in (5, 50))
    assert min(seconds(long) for _ in range(3)) < 5 * min(seconds(short) for _ in range(3))


def asked(content):
    return {"messages": [{"role": "user", "content": content}]}


FILE = {"type": "file", "base64": DATA, "mime_type": "application/pdf"}


def team(budget=None, **options):
    model = ScriptedModel(replies=["It is a bill."] * 3)
    return create_conductor(fixed.single("w"), [Worker("w", model, **options)], budget=budget)


def test_a_file_passes_the_limit_that_its_base64_would_break():
    question = [{"type": "text", "text": "What is it?"}, FILE]
    assert len(DATA) / 4 > 90_000
    assert team(max_input_tokens=20_000).invoke(asked(question))["answer"] == "It is a bill."


def test_estimates_count_attachments_by_their_kind():
    pool = WorkerPool([Worker("w", ScriptedModel(replies=["x"], max_tokens=10))])
    workflow = parse_workflow('model_id = [0]\nsubtasks = ["look"]\naccess_list = [[]]', pool)
    guess = pool.estimate(workflow, [{"type": "image", "base64": DATA, "mime_type": "image/png"}])
    assert guess.likely.input_tokens < 2_500
    assert 50_000 < guess.worst.input_tokens < 55_000


def test_a_budget_sets_the_worst_case_of_a_file_aside():
    question = [{"type": "text", "text": "What is it?"}, {**FILE, "base64": in_base64(pdf(2))}]
    used = team(Budget(tokens=200_000, allow_unbounded=True)).invoke(asked(question))
    assert used["answer"] == "It is a bill."
    with pytest.raises(BudgetExceededError):
        team(Budget(tokens=100_000, allow_unbounded=True)).invoke(asked(question))

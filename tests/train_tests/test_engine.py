"""The engine: replies of a batch are those of each request alone, whatever adapters stand beside each other."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from langchain_core.messages import HumanMessage, SystemMessage

from langgraph_conductor.train.learning.settings import Lora
from langgraph_conductor.train.trainers.decoding import decode
from langgraph_conductor.train.trainers.engine import Engine, EngineModel, prompt_text
from langgraph_conductor.train.trainers.plain import adapted
from tests.train_tests.toys import toy_model, toy_tokenizer

TOKENIZER = toy_tokenizer()
QUESTIONS = ["Who?", "Which one of these is it?", "Why?", "Where was it, then?"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two adapters that are not nothing."""
    made = tmp_path_factory.mktemp("adapters")
    for seed, name in enumerate(("first", "second"), 1):
        model = adapted(toy_model(len(TOKENIZER)), Lora(rank=4, alpha=4))
        torch.manual_seed(seed)
        for key, weight in model.named_parameters():
            if "lora_B" in key:
                torch.nn.init.normal_(weight, std=1.0)
        model.save_pretrained(made / name)
    return made


@pytest.fixture
def engine(folder):
    made = Engine(
        toy_model(len(TOKENIZER)),
        TOKENIZER,
        {name: folder / name for name in ("first", "second")},
        wait=0.2,
    )
    yield made
    made.close()


def alone(folder, adapter, question, most=12):
    from peft import PeftModel

    model = toy_model(len(TOKENIZER))
    model = PeftModel.from_pretrained(model, folder / adapter) if adapter else model
    prompt = prompt_text(TOKENIZER, [SystemMessage("Be brief."), HumanMessage(question)])
    ids = tuple(TOKENIZER(prompt, add_special_tokens=False)["input_ids"])
    tokens = decode(model.eval(), [ids], end=TOKENIZER.eos_token_id, max_tokens=most)[0]
    return TOKENIZER.decode(tokens, skip_special_tokens=True)


def test_requests_of_all_adapters_at_once_are_answered_as_alone(engine, folder):
    asked = [(adapter, question) for question in QUESTIONS for adapter in ("first", "second", "")]

    def ask(one):
        model = EngineModel(engine=engine, adapter=one[0], max_tokens=12)
        return model.invoke([SystemMessage("Be brief."), HumanMessage(one[1])])

    with ThreadPoolExecutor(len(asked)) as pool:
        replies = list(pool.map(ask, asked))
    texts = [reply.text for reply in replies]
    assert texts == [alone(folder, *one) for one in asked]
    assert len({texts[0], texts[1], texts[2]}) == 3  # the adapters differ
    used = replies[0].usage_metadata
    assert used["input_tokens"] == len(engine.tokens([SystemMessage("Be brief."), HumanMessage("Who?")]))
    assert 0 < used["output_tokens"] <= 12


def test_what_was_asked_before_is_not_decoded_again(engine, monkeypatch):
    from langgraph_conductor.train.trainers import engine as module

    calls = []
    monkeypatch.setattr(
        module, "decode", lambda *args, **kwargs: calls.append(1) or decode(*args, **kwargs)
    )
    first = engine.ask("first", [HumanMessage("Once?")], 4).result()
    assert engine.ask("first", [HumanMessage("Once?")], 4).result() == first
    assert len(calls) == 1
    engine.ask("second", [HumanMessage("Once?")], 4).result()
    engine.ask("first", [HumanMessage("Once?")], 5).result()
    assert len(calls) == 3


def test_each_request_has_its_own_bound(engine):
    messages = [HumanMessage("Who?")]
    short, long = engine.ask("first", messages, 2), engine.ask("first", messages, 9)
    assert long.result()[:2] == short.result()
    assert len(short.result()) == 2


def test_what_waits_at_the_end_is_answered(folder):
    engine = Engine(toy_model(len(TOKENIZER)), TOKENIZER, {"first": folder / "first"}, wait=5.0)
    replies = [engine.ask(name, [HumanMessage("Who?")], 3) for name in ("first", "")]
    engine.close()
    assert all(len(reply.result(timeout=0)) == 3 for reply in replies)


def test_a_failure_is_told_to_who_asked_and_the_next_is_answered(engine, monkeypatch):
    from langgraph_conductor.train.trainers import engine as module

    def broken(*args, **kwargs):
        raise RuntimeError("no memory")

    with monkeypatch.context() as patch:
        patch.setattr(module, "decode", broken)
        with pytest.raises(RuntimeError, match="no memory"):
            engine.ask("first", [HumanMessage("Who?")], 3).result()
    assert engine.ask("first", [HumanMessage("Who?")], 3).result()


def test_an_adapter_that_is_not_there_is_refused(engine):
    with pytest.raises(ValueError, match="no adapter 'third'; there are first, second"):
        engine.ask("third", [], 3)


def test_without_adapters_it_is_the_model(folder):
    engine = Engine(toy_model(len(TOKENIZER)), TOKENIZER, {})
    model = EngineModel(engine=engine, max_tokens=12)
    assert model.invoke([SystemMessage("Be brief."), HumanMessage("Why?")]).text == alone(
        folder, "", "Why?"
    )
    engine.close()


def test_kept_replies_know_adapter_bound_and_version(engine):
    from langgraph_conductor import Worker
    from langgraph_conductor.replay.identity import worker_identity

    options = [{}, {"adapter": "first"}, {"adapter": "first", "version": "2"}, {"max_tokens": 7}]
    seen = [str(worker_identity(Worker("w", EngineModel(engine=engine, **one)))) for one in options]
    assert len(set(seen)) == len(options)
    again = Engine(toy_model(len(TOKENIZER)), TOKENIZER, {})
    assert str(worker_identity(Worker("w", EngineModel(engine=again)))) == seen[0]
    again.close()


def test_replies_are_kept_for_the_next_process_and_not_for_other_adapters(folder, tmp_path, monkeypatch):
    from langgraph_conductor.train.trainers import engine as module

    kept, swapped = tmp_path / "engine.sqlite", {"first": folder / "second"}

    def ask(adapters):
        made = Engine(toy_model(len(TOKENIZER)), TOKENIZER, adapters, kept=kept)
        try:
            return made.ask("first", [HumanMessage("Once?")], 4).result()
        finally:
            made.close()

    decoded = []
    monkeypatch.setattr(module, "decode", lambda *args, **kw: decoded.append(1) or decode(*args, **kw))
    first = ask({"first": folder / "first"})
    assert ask({"first": folder / "first"}) == first
    assert decoded == [1]  # the second was not decoded
    assert ask(swapped) != first
    assert decoded == [1, 1]


def test_many_at_once_are_answered_in_one_batch(engine, monkeypatch):
    from langgraph_conductor.train.trainers import engine as module

    rows = []
    monkeypatch.setattr(
        module,
        "decode",
        lambda model, prompts, **kw: rows.append(len(prompts)) or decode(model, prompts, **kw),
    )
    model = EngineModel(engine=engine, adapter="first", max_tokens=2)

    async def all_of_them():
        return await asyncio.gather(*(model.ainvoke(f"Number {n}?") for n in range(40)))

    replies = asyncio.run(all_of_them())
    assert [reply.text for reply in replies] == [model.invoke(f"Number {n}?").text for n in range(40)]
    assert rows[0] > 20  # Python's own threads would be six

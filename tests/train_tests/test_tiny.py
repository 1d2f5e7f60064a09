"""The small proof, every stage of it, on a toy that can learn nothing: what it writes, and that it goes on."""

import json
import re

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from langgraph_conductor.evals import Suite
from langgraph_conductor.evals.suites.tiny import tiny_suite
from langgraph_conductor.train.learning.settings import Imitation, Improvement, Lora
from langgraph_conductor.train.results.diagnostics import read_steps
from langgraph_conductor.train.tiny import proof as module
from langgraph_conductor.train.tiny.__main__ import main
from langgraph_conductor.train.tiny.contenders import GRPO, ORACLE_WORKFLOW, turned
from langgraph_conductor.train.tiny.findings import GROUPS
from langgraph_conductor.train.tiny.proof import Proof, stages
from langgraph_conductor.train.tiny.recipe import Recipe
from tests.train_tests.toys import toy_tokenizer

pytestmark = pytest.mark.timeout(300)

_STEPS = Improvement(steps=1, questions=3, rollouts=2, learning_rate=1e-3, max_tokens=400)
RECIPE = Recipe(
    adapter=Lora(rank=2, alpha=2),
    lessons=8,
    teaching=Imitation(epochs=1, batch=8, learning_rate=1e-3),
    single_tried=14,
    composed_tried=2,
    varied=1,
    imitation=Imitation(epochs=1, batch=8, learning_rate=1e-3),
    learnt_from=16,
    named=_STEPS,
    again=_STEPS.model_copy(update={"rollouts": 4}),
    begun=6,
    form_shown=8,
    anonymous=_STEPS,
    chosen_on=4,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a whole run, and what was said."""
    folder, said = tmp_path_factory.mktemp("tiny"), []
    tokenizer = toy_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(0)
    toy = LlamaForCausalLM(config)
    toy.save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    whole = tiny_suite()
    small = Suite(whole.name, {"train": whole.tasks("train"), "test": whole.tasks("test")[:6]}, whole.about)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "tiny_suite", lambda: small)
        for name, run in stages(Proof(folder, say=said.append, recipe=RECIPE), [0, 1]):
            run()
            said.append(f"ran {name}")
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
        for _, run in stages(Proof(folder, say=said.append, recipe=RECIPE), [0, 1]):
            run()
        again = {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
    return folder, said, (before, again)


def test_every_stage_leaves_an_adapter_and_what_is_there_is_not_made_again(made):
    _, said, (before, again) = made
    trained = {path.parent.name for path in before}
    conductors = {
        f"{stage}-{seed}" for stage in ("sft", "grpo", "recursion", "form", "reward") for seed in (0, 1)
    }
    assert trained >= {"sorter", "generalist", *conductors}
    assert before == again
    assert said[-1] == "ran publish"


def test_plans_are_bound_to_the_grammar_while_rewards_are_learnt_from(made):
    folder, *_ = made
    for name in ("grpo-0", "recursion-0", "reward-1"):
        (line,) = read_steps(folder / name / "diagnostics")
        # A toy writes at random: without the grammar nothing could be read. What is cut off cannot be either.
        assert line["parsed"] > 0.5, name


def test_right_plans_are_those_that_ran_and_were_right(made):
    folder, *_ = made
    rows = [json.loads(line) for line in (folder / "right.jsonl").read_text().splitlines()]
    assert {row["task"]["domain"] for row in rows} == {"calculator"}  # all that a toy's pool can do
    assert all(row["right"]["steps"][-1]["worker"] == "calculator" for row in rows)


def test_the_evaluation_has_everybody_and_says_whether_it_was_shown(made):
    folder, *_ = made
    found = Proof(folder).measure([0, 1])
    names = [outcome.strategy for outcome in found.outcomes]
    assert {GRPO, "generalist", "random router", "best constant workflow", "worker oracle"} <= {*names}
    assert ORACLE_WORKFLOW in names
    page = (folder / "report.html").read_text()
    assert "complementary by construction" in page
    assert re.search(r"RL adds to the warm start: (yes|not shown|no, below) \(", page)
    assert all(f"{group} (" in page for group in GROUPS)
    assert "grpo-1" in page


def test_what_is_published_is_the_first_seed(made):
    folder, *_ = made
    card = (folder / "adapters" / "README.md").read_text()
    manifest = json.loads((folder / "adapters" / "adapters.json").read_text())
    assert set(manifest["adapters"]) == {"conductor", "digits", "initials", "reverser", "sorter", "story"}
    assert all(digest in card for digest in manifest["adapters"].values())
    assert "seed 0" in card
    assert GRPO in card


def test_the_new_worker_reverses_what_it_is_given():
    from langgraph_conductor.records import StepOutput, WorkerTask

    def task(question, *given):
        inputs = tuple(
            StepOutput(index=i, worker="a", subtask="", text=text, status="ok")
            for i, text in enumerate(given)
        )
        return WorkerTask(({"type": "text", "text": question},), "", inputs, (), 0, 0, True, ())

    assert turned(task("Turn around: a, b and c")) == "c, b, a"
    assert turned(task("Turn around: a, b and c", "1, 2", "7, 8, 9")) == "9, 8, 7"
    with pytest.raises(ValueError, match="no list"):
        turned(task("Why?"))


def test_a_stage_that_is_not_there_is_refused(tmp_path, capsys):
    assert main(["--folder", str(tmp_path), "--only", "nonsense"]) == 2
    assert "there is no stage 'nonsense'" in capsys.readouterr().err

"""The small proof, every stage of it, on a toy that can learn nothing: what it writes, and that it goes on."""

import asyncio
import json
import re
import shutil

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from langgraph_conductor import StepOutput, Worker, WorkerPool, WorkerTask
from langgraph_conductor.errors import ConfigError
from langgraph_conductor.evals import Evaluation, Runner, Strategy, Suite
from langgraph_conductor.evals.suites.tiny import tiny_suite
from langgraph_conductor.evals.suites.tiny_questions import parts_of
from langgraph_conductor.planners import fixed
from langgraph_conductor.replay import ReplyStore
from langgraph_conductor.rewards import Task
from langgraph_conductor.train.learning.settings import Imitation, Improvement, Lora
from langgraph_conductor.train.results.diagnostics import read_steps
from langgraph_conductor.train.tiny import proof as module
from langgraph_conductor.train.tiny.__main__ import main
from langgraph_conductor.train.tiny.contenders import OfSeed, turned
from langgraph_conductor.train.tiny.findings import GROUPS
from langgraph_conductor.train.tiny.limits import SAID, TITLE
from langgraph_conductor.train.tiny.names import GRPO, ORACLE_WORKFLOW
from langgraph_conductor.train.tiny.proof import Proof
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
    again=_STEPS.model_copy(update={"rollouts": 4, "questions": 1}),
    begun=12,
    form_shown=8,
    anonymous=_STEPS,
    chosen_on=2,
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
    small = Suite(whole.name, {"train": whole.tasks("train"), "test": whole.tasks("test")[:4]}, whole.about)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "tiny_suite", lambda: small)
        proof = Proof(folder, say=said.append, recipe=RECIPE)
        for stage in proof.stages([0, 1]):
            proof.run(stage)
    return folder, said, proof


def test_every_stage_leaves_an_adapter_and_what_is_there_is_not_made_again(made):
    folder, _, proof = made
    conductors = {
        f"{stage}-{seed}" for stage in ("sft", "grpo", "recursion", "form", "reward") for seed in (0, 1)
    }
    trained = {path.parent.name for path in folder.rglob("adapter_model.safetensors")}
    assert trained >= {"sorter", "generalist", *conductors}
    said = []
    proof.say = said.append
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*") if path.is_file()}
    for stage in proof.stages([0, 1]):
        proof.run(stage)
    assert {line.split(": ")[1] for line in said} == {"was done"}
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_the_table_is_made_anew_for_other_seeds_and_a_conductor_is_not_for_another_recipe(made, tmp_path):
    folder, _, proof = made
    table = {stage.name: stage for stage in proof.stages([0])}["table"]
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    other = Proof(copy, say=lambda _: None, recipe=RECIPE)
    other.suite = proof.suite
    assert table.settings["seeds"] == [0]
    other.run({stage.name: stage for stage in other.stages([0], items=2)}["table"])
    found = Evaluation.load(copy / "table" / "evaluation.json")
    assert len(found.tasks) == 2
    assert found.about["options"]["samples"] == 1
    faster = RECIPE.model_copy(update={"named": RECIPE.named.model_copy(update={"learning_rate": 1e-2})})
    changed = Proof(copy, say=lambda _: None, recipe=faster)
    with pytest.raises(
        ConfigError, match=r"grpo-0 was made from something else \(other named\); delete it"
    ):
        changed.run({stage.name: stage for stage in changed.stages([0])}["grpo-0"])


def test_plans_are_bound_to_the_grammar_while_rewards_are_learnt_from(made):
    folder, *_ = made
    for name in ("grpo-0", "recursion-0", "reward-1"):
        (line,) = read_steps(folder / name / "diagnostics")
        # A toy writes at random: without the grammar nothing could be read. What is cut off cannot be either.
        assert line["parsed"] > 0.5, name


def test_by_reward_alone_plans_of_one_step_are_learnt_with_hope(made):
    folder, *_ = made
    (alone,) = read_steps(folder / "reward-0" / "diagnostics")
    assert {*alone["steps"]} == {"1"}
    # All were wrong, which teaches nothing without hope.
    assert alone["right"] == 0
    assert alone["learning"]["gradient"] > 0
    (named,) = read_steps(folder / "grpo-0" / "diagnostics")
    assert {*named["steps"]} > {"1"}


def test_right_plans_are_those_that_ran_and_were_right(made):
    folder, *_ = made
    rows = [json.loads(line) for line in (folder / "right" / "plans.jsonl").read_text().splitlines()]
    assert {row["task"]["domain"] for row in rows} == {"calculator"}  # all that a toy's pool can do
    assert all(row["right"]["steps"][-1]["worker"] == "calculator" for row in rows)


def test_the_evaluation_has_everybody_and_says_whether_it_was_shown(made):
    folder, *_ = made
    found = Evaluation.load(folder / "table" / "evaluation.json")
    names = [outcome.strategy for outcome in found.outcomes]
    assert {GRPO, "generalist", "random router", "best constant workflow", "worker oracle"} <= {*names}
    assert ORACLE_WORKFLOW in names
    page = (folder / "table" / "report.html").read_text()
    assert "complementary by construction" in page
    assert re.search(r"RL adds to the warm start: (yes|not shown|no, worse) \(", page)
    assert all(f"{group} (" in page for group in GROUPS)
    assert "grpo-1" in page
    assert f"<h2>{TITLE}</h2>" in page


def test_what_is_published_is_the_first_seed(made):
    folder, *_ = made
    card = (folder / "publish" / "README.md").read_text()
    manifest = json.loads((folder / "publish" / "adapters.json").read_text())
    assert set(manifest["adapters"]) == {"conductor", "digits", "initials", "reverser", "sorter", "story"}
    assert all(digest in card for digest in manifest["adapters"].values())
    assert "seed 0" in card
    assert f"## {TITLE}" in card
    assert all(sentence in card for sentence in SAID)
    assert GRPO in card


def asked(question, *given):
    inputs = tuple(
        StepOutput(index=i, worker="a", subtask="", text=text, status="ok") for i, text in enumerate(given)
    )
    return WorkerTask(({"type": "text", "text": question},), "", inputs, (), 0, 0, True, ())


@pytest.mark.parametrize(
    "task", [t for t in tiny_suite().tasks("test") if "reverser" in t.skills], ids=lambda t: t.id
)
def test_the_new_worker_can_do_what_the_one_it_stands_for_did(task):
    parts = parts_of(task)
    place = [part.skill for part in parts].index("reverser")
    given = [part.answer for part in parts[:place]]
    assert turned(asked(task.question, *given)) == parts[place].answer


def test_the_new_worker_cannot_reverse_nothing():
    with pytest.raises(ValueError, match="no list"):
        turned(asked("Why?"))


def test_each_sample_is_planned_by_the_conductor_of_its_seed():
    pool = WorkerPool([Worker(name, lambda task, name=name: name) for name in ("zero", "one")])
    strategy = Strategy("both", "planner", OfSeed([fixed.single("zero"), fixed.single("one")]), pool)
    with ReplyStore(":memory:") as store:
        for _ in range(2):  # what is kept is not taken for another's
            found = asyncio.run(Runner(store, samples=2).run(strategy, [Task("Who?", "one", "exact")]))
            ((first, second),) = found.episodes.values()
            assert (first.answer, second.answer) == ("zero", "one")


def test_a_model_without_training_plans_within_the_grammar(made):
    folder, *_ = made
    found = Evaluation.load(folder / "table" / "evaluation.json")
    episodes = [one for many in found.outcome("base, untrained").episodes.values() for one in many]
    assert episodes
    assert all(one.valid and one.reached == "schema" and one.planner.total_tokens for one in episodes)


def test_a_stage_whose_files_are_missing_says_which(tmp_path, capsys):
    assert main(["--folder", str(tmp_path), "--only", "grpo-0"]) == 2
    assert "stage grpo-0 needs digits, sorter" in capsys.readouterr().err
    assert main(["--folder", str(tmp_path), "--device", "abacus"]) == 2
    assert "there is no device 'abacus'" in capsys.readouterr().err


def test_a_stage_that_is_not_there_is_refused(tmp_path, capsys):
    assert main(["--folder", str(tmp_path), "--only", "nonsense"]) == 2
    assert "there is no stage 'nonsense'" in capsys.readouterr().err

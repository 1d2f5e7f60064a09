"""The plain trainer: what it samples, what its gradient is, and that it goes on where it stopped."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from langgraph_conductor import Worker, WorkerPool
from langgraph_conductor.episodes import Episode
from langgraph_conductor.rewards import Task
from langgraph_conductor.train.learning.asks import Ask, Example, Scored
from langgraph_conductor.train.learning.settings import Imitation, Improvement, Lora
from langgraph_conductor.train.trainers.decoding import decode
from langgraph_conductor.train.trainers.masters import Masters
from langgraph_conductor.train.trainers.plain import PlainTrainer, _Rollout, adapted, body, head
from tests.train_tests.toys import toy_model, toy_tokenizer

TOKENIZER = toy_tokenizer()
POOL = WorkerPool([Worker("echo", lambda task: task.subtask)])
ASKS = [
    Ask(Task(question, "x", "exact"), POOL)
    for question in ("Which one?", "And which of these is it?", "Who?")
]
LORA = Lora(rank=4, alpha=8)


def render(ask):
    return f"<|im_start|>user\n{ask.task.question}<|im_end|>\n<|im_start|>assistant\n"


def trainer(seed=0, *, model=None, **options):
    torch.manual_seed(seed)
    model = model or toy_model(len(TOKENIZER))
    return PlainTrainer(model, TOKENIZER, render, **{"lora": LORA, "seed": seed, **options})


def scored(reward):
    return Scored(reward, Episode("t", "", reward, True, "unaided"))


def favouring(letters):
    """A score that likes texts by the share of their letters that are among `letters`."""

    def score(asks, texts):
        return [scored(sum(c in letters for c in text) / max(len(text), 1)) for text in texts]

    return score


def groups(step):
    return [[ASKS[step % 3]] * 6, [ASKS[(step + 1) % 3]] * 6]


def weights(one):
    return torch.cat([p.detach().flatten().float() for p in one.model.parameters() if p.requires_grad])


def tokens(text):
    return tuple(TOKENIZER(text, add_special_tokens=False)["input_ids"])


def test_greedy_texts_are_those_of_transformers_whatever_they_are_decoded_beside():
    model = toy_model(len(TOKENIZER)).eval()
    prompts = [tokens(render(ask)) for ask in ASKS]
    prompts = [*prompts, prompts[0], prompts[2]]
    found = decode(model, prompts, end=TOKENIZER.eos_token_id, max_tokens=70)
    for prompt, text in zip(prompts, found, strict=True):
        whole = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=70,
            do_sample=False,
            eos_token_id=TOKENIZER.eos_token_id,
        )
        assert tuple(whole[0, len(prompt) :].tolist()) == text


def test_texts_end_at_the_end_and_the_others_go_on():
    model = toy_model(len(TOKENIZER)).eval()
    end = 5
    # Twelve rows under a constraint that ends each at another place: rows are taken out as they end.
    prompts = [tokens(render(ASKS[0]))] * 12
    wanted = [[7] * n + [end] for n in range(12)]
    bounds = [One(row) for row in wanted]
    found = decode(model, prompts, end=end, max_tokens=20, temperature=1.0, bounds=bounds)
    assert [list(text) for text in found] == wanted


class One:
    """One text may be written; from `known` on nothing is chosen."""

    def __init__(self, text, known=None):
        self.text, self.known = tuple(text), len(text) if known is None else known

    def allowed(self, written):
        assert len(written) <= self.known
        return [self.text[len(written)]]

    def rest(self, written):
        return self.text[len(written) :] if len(written) >= self.known else ()


def test_where_there_is_no_choice_left_the_model_is_not_asked():
    model = toy_model(len(TOKENIZER)).eval()
    asked = []
    model.register_forward_pre_hook(lambda *_: asked.append(1))
    model.model.register_forward_pre_hook(lambda *_: asked.append(1))
    prompts = [tokens(render(ASKS[0]))] * 3
    bounds = [One([7, 8, 9, 10, 5], known) for known in (1, 2, 3)]
    found = decode(model, prompts, end=5, max_tokens=20, temperature=1.0, bounds=bounds)
    assert found == [(7, 8, 9, 10, 5)] * 3
    assert len(asked) == 3  # the prompt, and the second and third token
    assert decode(model, prompts, end=5, max_tokens=4, bounds=bounds) == [(7, 8, 9, 10)] * 3  # cut


class LetterAndTail:
    """A letter is chosen, and then comes what has to follow, whatever was chosen."""

    letters = [tokens(c)[0] for c in "abc"]
    tail = (*tokens("hello there"), TOKENIZER.eos_token_id)

    def allowed(self, written):
        return [self.tail[len(written) - 1]] if written else self.letters

    def rest(self, written):
        return self.tail[len(written) - 1 :] if written else ()


def test_what_had_to_follow_is_not_learnt_from(tmp_path):
    rows = []
    one = trainer(
        constraint=lambda ask: LetterAndTail(),
        lora=None,
        improvement=Improvement(steps=20, learning_rate=3e-3, max_tokens=20),
    )
    learnt = one._row_loss
    one._row_loss = lambda row: rows.extend(row) or learnt(row)
    one.improve(groups, favouring("a"), tmp_path)
    assert rows
    assert all(sum(weight != 0 for weight in rollout.weights) == 1 for rollout in rows)
    texts = one.sample(ASKS * 10, temperature=1.0, max_tokens=20, seed=2)
    assert sum(text == "ahello there" for text in texts) > 15


def test_a_policy_that_was_bound_writes_in_the_same_form_unbound(tmp_path):
    """Rewards say nothing of what is not allowed, nor of what has to follow; neither may be unlearnt."""

    def unbound(one):
        bound, one.constraint = one.constraint, None
        texts = one.sample(ASKS * 20, temperature=1.0, max_tokens=20, seed=3)
        one.constraint = bound
        return sum(text[:1] in "abc" and text[1:] == "hello there" for text in texts) / len(texts)

    one = trainer(
        constraint=lambda ask: LetterAndTail(),
        lora=None,
        imitation=Imitation(epochs=150, batch=9, learning_rate=3e-3),
        improvement=Improvement(steps=40, learning_rate=1e-3, max_tokens=20),
    )
    one.imitate([Example(ask, f"{c}hello there") for ask in ASKS for c in "abc"], tmp_path / "form")
    before = unbound(one)
    assert before > 0.8
    one.improve(groups, favouring("a"), tmp_path / "rewards")
    texts = one.sample(ASKS * 10, temperature=1.0, max_tokens=20, seed=2)
    assert sum(text == "ahello there" for text in texts) > 20
    assert unbound(one) > before - 0.1


def test_texts_that_begin_alike_are_read_once():
    model = toy_model(len(TOKENIZER)).eval()
    rows = []
    model.model.register_forward_pre_hook(
        lambda _, args, given: rows.append(len(given["input_ids"])), with_kwargs=True
    )
    bounds = [One(text) for text in ([7, 8, 9, 5], [7, 8, 9, 5], [7, 8, 10, 5], [6, 8, 9, 5])]
    prompts = [tokens(render(ASKS[0]))] * 3 + [tokens(render(ASKS[1]))]
    found = decode(model, prompts, end=5, max_tokens=9, bounds=bounds)
    assert [list(text) for text in found] == [[7, 8, 9, 5], [7, 8, 9, 5], [7, 8, 10, 5], [6, 8, 9, 5]]
    assert rows == [2, 2, 2, 3]


def test_equal_texts_are_learnt_from_as_if_each_were_there_alone(tmp_path):
    """The update from texts merged is the one from the same texts apart."""

    def learnt(together):
        one = trainer(lora=None, improvement=Improvement(steps=1, learning_rate=1e-3, max_tokens=2))
        written = [tokens("ab"), tokens("ab"), tokens("cd"), tokens("ab")]
        rollouts, loss = [], one._row_loss
        one._row_loss = lambda row: rollouts.extend(row) or loss(row)
        group = [ASKS[0]] * 4
        if not together:
            group = [replace(ASKS[0]) for _ in range(4)]  # equal, and each itself
        seen = one._learn(
            one._optimiser(1e-3, 1.0), 1e-3, [group], written, [scored(r) for r in (1.0, 0.0, 0.0, 1.0)]
        )
        return len(rollouts), weights(one), seen

    merged, apart = learnt(True), learnt(False)
    assert (merged[0], apart[0]) == (2, 4)
    # Adam's first step has the gradient's sign, which is by chance where that is nearly nothing.
    assert ((merged[1] - apart[1]).abs() > 1e-5).float().mean() < 0.01
    assert merged[2]["loss"] == pytest.approx(apart[2]["loss"], abs=1e-5)
    assert merged[2]["gradient"] == pytest.approx(apart[2]["gradient"], rel=1e-3)
    assert merged[2]["entropy"] == pytest.approx(apart[2]["entropy"], rel=1e-4)


def test_samples_follow_the_probabilities_of_the_model():
    model = toy_model(len(TOKENIZER)).eval()
    prompt = tokens(render(ASKS[1]))
    drawn = decode(model, [prompt] * 4000, end=-1 % 400, max_tokens=1, temperature=0.5, seed=3)
    with torch.no_grad():
        logits = model(torch.tensor([prompt])).logits[0, -1]
    chances = (logits / 0.5).softmax(-1)
    counts = torch.bincount(torch.tensor([text[0] for text in drawn]), minlength=len(chances)) / 4000
    likely = chances.topk(5).indices
    assert torch.allclose(counts[likely], chances[likely], atol=0.03)
    assert decode(model, [prompt] * 20, end=2, max_tokens=3, temperature=1.0, seed=4) == decode(
        model, [prompt] * 20, end=2, max_tokens=3, temperature=1.0, seed=4
    )


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_the_gradient_of_a_row_is_that_of_its_rollouts_one_by_one(temperature):
    one = trainer(lora=None, improvement=Improvement(temperature=temperature))
    prompt = tokens(render(ASKS[0]))
    row = [
        _Rollout(prompt, tokens(text), advantage, ASKS[0])
        for text, advantage in (("model_id = [0]", 1.2), ("Check", -0.7), ("subtasks = [1]\n", 0.4))
    ]
    loss, entropy = one._row_loss(row)
    loss.backward()
    packed = [p.grad.clone() for p in one.model.parameters()]
    one.model.zero_grad()
    total, spread = torch.zeros(()), []
    for rollout in row:
        ids = torch.tensor([rollout.prompt + rollout.tokens])
        logs = (one.model(ids).logits[0, len(prompt) - 1 : -1] / temperature).log_softmax(-1)
        total = total - rollout.advantage * logs.gather(1, torch.tensor(rollout.tokens)[:, None]).mean()
        spread.append(-(logs.exp() * logs).sum(-1))
    total.backward()
    assert entropy == pytest.approx(float(torch.cat(spread).detach().mean()), rel=1e-4)
    for parameter, grad in zip(one.model.parameters(), packed, strict=True):
        assert torch.allclose(parameter.grad, grad, atol=1e-5)


def test_a_long_group_is_cut_into_rows_with_the_same_gradient():
    found = []
    for most in (4096, 60):
        one = trainer(improvement=Improvement(steps=1, max_tokens=12, learning_rate=1e-3), row_tokens=most)
        optimiser = one._optimiser(1e-3, 1.0)
        written = one._sample([ASKS[0]] * 8, 1.0, 12, 1)
        texts = [TOKENIZER.decode(text, skip_special_tokens=True) for text in written]
        one._learn(optimiser, 1e-3, [[ASKS[0]] * 8], written, favouring("aeiou")([], texts))
        found.append(weights(one))
    assert torch.allclose(found[0], found[1], atol=1e-5)


def test_it_learns_what_is_rewarded_and_unlearns_it_when_the_advantage_is_negated(tmp_path):
    def share(one):
        texts = one.sample(ASKS * 20, temperature=1.0, max_tokens=12, seed=9)
        return sum(s.reward for s in favouring("aeiou")(None, texts)) / len(texts)

    settings = Improvement(steps=40, max_tokens=12, learning_rate=3e-3, clip_norm=1.0, schedule="constant")
    learnt = trainer(improvement=settings, lora=None)
    before = share(learnt)
    learnt.improve(groups, favouring("aeiou"), tmp_path / "a")
    assert share(learnt) > before + 0.1

    negated = trainer(
        lora=None,
        improvement=settings,
        advantages=lambda group, rewards: [-1.0 * r for r in _plain(rewards)],
    )
    negated.improve(groups, favouring("aeiou"), tmp_path / "b")
    assert share(negated) < before


def test_advantages_are_divided_by_the_deviation_where_the_settings_say_so():
    scaled, plain = (
        trainer(improvement=Improvement(scale_rewards=yes)).advantages(ASKS, [1.0, 0.9, 0.8])
        for yes in (True, False)
    )
    assert plain == pytest.approx([0.1, 0.0, -0.1])
    assert scaled[0] > 0.9


def _plain(rewards):
    mean = sum(rewards) / len(rewards)
    return [reward - mean for reward in rewards]


def test_unscored_rollouts_and_groups_without_spread_teach_nothing(tmp_path):
    def score(asks, texts):
        return [scored(None if i == 0 else 0.5) for i, _ in enumerate(texts)]

    seen = []
    one = trainer(improvement=Improvement(steps=2, max_tokens=6), watch=seen.append)
    before = weights(one)
    one.improve(groups, score, tmp_path)
    assert torch.equal(weights(one), before)
    assert [step.learning["gradient"] for step in seen] == [0.0, 0.0]


def test_a_constraint_binds_samples_and_their_probabilities(tmp_path):
    letters = [tokens(c)[0] for c in "abc"]
    end = TOKENIZER.eos_token_id

    class Short:
        def allowed(self, written):
            return [end] if len(written) == 2 else letters

        def rest(self, written):
            return ()

    one = trainer(
        constraint=lambda ask: Short(),
        lora=None,
        improvement=Improvement(steps=30, learning_rate=3e-3, max_tokens=5),
    )
    texts = one.sample(ASKS * 10, temperature=1.0, max_tokens=5, seed=1)
    assert all(len(text) == 2 and set(text) <= set("abc") for text in texts)
    row = [_Rollout(tokens(render(ASKS[0])), (letters[0], letters[1], end), 1.0, ASKS[0])]
    _, entropy = one._row_loss(row)
    assert entropy <= 2 / 3 * 1.0987  # of three tokens; the last one is forced
    one.improve(groups, favouring("a"), tmp_path)
    texts = one.sample(ASKS * 10, temperature=1.0, max_tokens=5, seed=2)
    assert sum(text == "aa" for text in texts) > 15


class StopError(Exception):
    pass


def test_improvement_goes_on_where_it_was_broken_off(tmp_path):
    settings = Improvement(steps=4, max_tokens=8, learning_rate=1e-2)
    whole = trainer(improvement=settings)
    whole.improve(groups, favouring("aeiou"), tmp_path / "whole")

    def stopping(step):
        numbers.append(step.number)
        if step.number == 1 and len(numbers) == 2:
            raise StopError

    numbers = []
    broken = trainer(improvement=settings, watch=stopping)
    with pytest.raises(StopError):
        broken.improve(groups, favouring("aeiou"), tmp_path / "broken")
    again = trainer(improvement=settings, watch=stopping)
    again.improve(groups, favouring("aeiou"), tmp_path / "broken")
    assert numbers == [0, 1, 2, 3]
    assert torch.allclose(weights(again), weights(whole), atol=1e-6)


def test_imitation_learns_the_texts_and_goes_on_where_it_was_broken_off(tmp_path, monkeypatch):
    examples = [Example(ask, text) for ask, text in zip(ASKS, ("one", "two", "three"), strict=True)]
    settings = Imitation(epochs=80, batch=2, learning_rate=5e-3)
    whole = trainer(imitation=settings, lora=None)
    whole.imitate(examples, tmp_path / "whole")
    assert whole.sample(ASKS, temperature=0, max_tokens=20, seed=0) == ["one", "two", "three"]

    steps = []
    true = Masters.step

    def counted(self, *args):
        if len(steps) == 30 and not (tmp_path / "broken" / "checkpoint.pt").exists():
            raise StopError
        steps.append(1)
        return true(self, *args)

    monkeypatch.setattr(Masters, "step", counted)
    with pytest.raises(StopError):
        trainer(imitation=settings, lora=None).imitate(examples, tmp_path / "broken")
    again = trainer(imitation=settings, lora=None)
    again.imitate(examples, tmp_path / "broken")
    assert len(steps) == 120
    assert torch.allclose(weights(again), weights(whole), atol=1e-6)


@pytest.mark.parametrize(("minutes", "kept"), [(1e-9, [False, True, True]), (8, [False] * 3)])
def test_checkpoints_are_as_frequent_as_the_settings_say(tmp_path, monkeypatch, minutes, kept):
    true = Masters.step
    for way, settings in (("imitate", Imitation), ("improve", Improvement)):
        found, folder = [], tmp_path / way

        def step(self, *args, found=found, folder=folder):
            found.append((folder / "checkpoint.pt").exists())
            return true(self, *args)

        monkeypatch.setattr(Masters, "step", step)
        if way == "imitate":
            one = trainer(imitation=settings(epochs=3, batch=3, save_minutes=minutes))
            one.imitate([Example(ask, "yes") for ask in ASKS], folder)
        else:
            one = trainer(improvement=settings(steps=3, max_tokens=6, save_minutes=minutes))
            one.improve(groups, favouring("aeiou"), folder)
        assert found == kept, way


def test_a_checkpoint_of_other_weights_is_refused(tmp_path):
    trainer(improvement=Improvement(steps=1, max_tokens=4)).improve(groups, favouring("a"), tmp_path)
    other = trainer(lora=Lora(rank=2, alpha=4), improvement=Improvement(steps=2, max_tokens=4))
    with pytest.raises(ValueError, match="another folder"):
        other.improve(groups, favouring("a"), tmp_path)


def test_steps_too_small_for_the_type_of_the_weights_add_up():
    weight = torch.nn.Parameter(torch.ones(4, dtype=torch.bfloat16))
    masters = Masters([weight], 1e-4, clip_norm=10.0)
    for _ in range(100):
        masters.step(1e-4, lambda: iter([weight.float().sum()]))
    assert torch.allclose(weight.float(), torch.full((4,), 0.99), atol=4e-3)


def test_a_gradient_that_is_no_number_changes_nothing():
    weight = torch.nn.Parameter(torch.ones(2))
    masters = Masters([weight], 1.0, clip_norm=1.0)
    masters.step(1.0, lambda: iter([weight.sum() * float("nan")]))
    assert torch.equal(weight.detach(), torch.ones(2))


def test_an_adapter_leaves_the_lower_layers_alone():
    model = adapted(toy_model(len(TOKENIZER)), Lora(rank=2, alpha=4, from_layer=1))
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert trained
    assert all(".layers.1." in name for name in trained)
    with pytest.raises(ValueError, match="from_layer = 2"):
        adapted(toy_model(len(TOKENIZER)), Lora(from_layer=2))


@pytest.mark.parametrize("wrap", [False, True])
def test_body_and_head_are_the_model(wrap):
    model = toy_model(len(TOKENIZER))
    model = adapted(model, LORA) if wrap else model
    ids = torch.tensor([tokens("Who?")])
    assert torch.allclose(head(model)(body(model)(ids).last_hidden_state), model(ids).logits)


def test_what_it_does_not_know_is_refused():
    with pytest.raises(ValueError, match='"trl"'):
        trainer(improvement=Improvement(beta=0.1))
    with pytest.raises(ValueError, match="nothing to imitate"):
        trainer().imitate([], Path("unused"))


def test_what_is_saved_is_what_was_learnt(tmp_path):
    from peft import PeftModel

    one = trainer(imitation=Imitation(epochs=30, batch=3, learning_rate=2e-2))
    one.imitate([Example(ASKS[0], "one")], tmp_path / "checkpoint")
    one.save(tmp_path / "adapter")
    loaded = PeftModel.from_pretrained(toy_model(len(TOKENIZER)), tmp_path / "adapter")
    again = trainer(model=loaded, lora=None)
    assert again.sample(ASKS[:1], temperature=0, max_tokens=10, seed=0) == ["one"]

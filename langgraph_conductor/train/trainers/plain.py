"""A trainer of one file, with torch, transformers and peft alone: for small models, one device, and no server.

* Rollouts are decoded in one batch with a shared cache: what texts have in common is read once, and what has to
  follow, under a constraint, is not asked for.
* A step's gradient is taken over *rows*: a prompt once, followed by the completions of its rollouts, each of
  which sees the prompt and itself but not its siblings. With 8 rollouts of short plans that is a third of the
  tokens. Rollouts with one text are one completion.
* One update is made per batch of rollouts, so the new and the old policy are one and the clipped ratio is 1.
* Weights below float32 have float32 masters in the optimiser.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from langgraph_conductor.special_tokens import special_tokens_of, without_special_tokens
from langgraph_conductor.train.learning.advantages import advantages
from langgraph_conductor.train.learning.asks import Ask, Example, Scored
from langgraph_conductor.train.learning.settings import Imitation, Improvement, Lora
from langgraph_conductor.train.learning.trainer import Batches, Score, Step, Watch
from langgraph_conductor.train.trainers.anatomy import body, head
from langgraph_conductor.train.trainers.decoding import Writing, decode
from langgraph_conductor.train.trainers.masters import Masters

Advantages = Callable[[Sequence[Ask], Sequence[float | None]], Sequence[float]]
"""The advantages of a group, from what was asked and the rewards."""

_CHECKPOINT: Final = "checkpoint.pt"
_PHASES: Final = ("planning", "executing", "training")


Constraint = Callable[[Ask], Writing]


@dataclass(frozen=True, slots=True)
class _Rollout:
    """Equal texts after a prompt.

    Args:
        prompt: Its tokens.
        tokens: Those of the text.
        advantage: The sum of theirs.
        ask: What was asked.
        times: How many they are.
        chosen: How many of the tokens there are up to the last choice; all if left out.
    """

    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    advantage: float
    ask: Ask
    times: int = 1
    chosen: int | None = None

    @property
    def weights(self) -> list[float]:
        """Of each token in the policy's loss: a mean over the chosen ones. What had to follow teaches nothing."""
        chosen = len(self.tokens) if self.chosen is None else self.chosen
        return [self.advantage / chosen] * chosen + [0.0] * (len(self.tokens) - chosen)

    @property
    def form(self) -> list[float]:
        """Of each token in what keeps the form: as for the chosen ones where the text was good."""
        return [max(0.0, self.weights[0])] * len(self.tokens)


class PlainTrainer:
    """Trains a causal language model of transformers; see `trainer.Trainer`.

    Args:
        model: The model, or a `PeftModel` whose active adapter is trained.
        tokenizer: Its tokenizer.
        render: The whole prompt of an ask, as text with its special tokens.
        lora: Trains an adapter instead of all weights.
        imitation: Settings of `imitate`.
        improvement: Settings of `improve`.
        seed: Of adapter, order and samples.
        constraint: What a plan may be; left out, anything. Probabilities are renormalised over what is allowed.
            What was good is made likely unbound, too: rewards say nothing of what is not allowed, and a policy
            that is used unbound later would have drifted there.
        watch: Is told of each step of `improve`.
        advantages: Advantages of a group; those of GRPO if left out.
        row_tokens: Most tokens of a row.
        sample_rows: Most rollouts decoded at once.

    Raises:
        ValueError: If a setting is not supported here (a KL term, a loss other than "grpo").
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        render: Callable[[Ask], str],
        *,
        lora: Lora | None = None,
        imitation: Imitation | None = None,
        improvement: Improvement | None = None,
        seed: int = 0,
        constraint: Constraint | None = None,
        watch: Watch | None = None,
        advantages: Advantages | None = None,
        row_tokens: int = 2048,
        sample_rows: int = 128,
    ) -> None:
        self.imitation = imitation or Imitation()
        self.improvement = improvement or Improvement()
        if self.improvement.beta or self.improvement.loss != "grpo":
            raise ValueError(
                'the plain trainer knows beta = 0 and loss = "grpo"; use trainer = "trl" for others'
            )
        torch.manual_seed(seed)
        self.model = model if lora is None else adapted(model, lora)
        self.tokenizer, self.render, self.seed = tokenizer, render, seed
        self.constraint, self.watch = constraint, watch
        self.advantages = advantages or self._advantages
        self.row_tokens, self.sample_rows = row_tokens, sample_rows

    def sample(self, asks: Sequence[Ask], *, temperature: float, max_tokens: int, seed: int) -> list[str]:
        """One plan text for each ask; greedy at temperature 0."""
        written = self._sample(asks, temperature, max_tokens, seed)
        return [self.tokenizer.decode(tokens, skip_special_tokens=True) for tokens in written]

    def imitate(self, examples: Sequence[Example], folder: Path) -> None:
        """Learn to write the texts of `examples`.

        Raises:
            ValueError: If there are none.
        """
        self.imitate_texts([(self.render(example.ask), example.text) for example in examples], folder)

    def imitate_texts(self, pairs: Sequence[tuple[str, str]], folder: Path) -> None:
        """Learn to go on from prompts as shown.

        Args:
            pairs: Prompt and completion.
            folder: Where the checkpoint is; training goes on from it.

        Raises:
            ValueError: If there are none.
        """
        if not pairs:
            raise ValueError(
                "there is nothing to imitate: no plan was right; look at the warm start's samples"
            )
        settings = self.imitation
        tokens = [
            (self._tokens(prompt), (*self._tokens(self._spelled(text)), self._end))
            for prompt, text in pairs
        ]
        steps = math.ceil(settings.epochs * len(tokens) / settings.batch)
        optimiser = self._optimiser(settings.learning_rate, settings.clip_norm)
        rate = _schedule(settings.learning_rate, steps, settings.warmup_ratio, "cosine")
        self.model.train()
        with _Progress(optimiser, folder, settings.save_minutes) as progress:
            while progress.done < steps:
                drawn = _drawn(len(tokens), progress.done * settings.batch, settings.batch, self.seed)
                chosen = [tokens[i] for i in drawn]
                optimiser.step(rate(progress.done), partial(self._imitation_loss, chosen))
                progress.advance()

    def improve(self, batches: Batches, score: Score, folder: Path) -> None:
        """Learn from rewards.

        Raises:
            Exception: What `score` or `watch` raises. The steps that were taken are kept.
        """
        settings = self.improvement
        optimiser = self._optimiser(settings.learning_rate, settings.clip_norm)
        rate = _schedule(settings.learning_rate, settings.steps, settings.warmup_ratio, settings.schedule)
        with _Progress(optimiser, folder, settings.save_minutes) as progress:
            while progress.done < settings.steps:
                step = self._step(optimiser, rate(progress.done), batches, score, progress.done)
                progress.advance()
                if self.watch:
                    self.watch(step)

    def _step(self, optimiser: Masters, rate: float, batches: Batches, score: Score, number: int) -> Step:
        settings = self.improvement
        times = [time.perf_counter()]
        groups = batches(number)
        asks = [ask for group in groups for ask in group]
        written = self._sample(
            asks, settings.temperature, settings.max_tokens, self.seed * 1_000_003 + number
        )
        texts = [self.tokenizer.decode(tokens, skip_special_tokens=True) for tokens in written]
        times.append(time.perf_counter())
        scored = score(asks, texts)
        times.append(time.perf_counter())
        seen = self._learn(optimiser, rate, groups, written, scored)
        times.append(time.perf_counter())
        return Step(
            number,
            groups,
            _grouped(texts, groups),
            _grouped(scored, groups),
            tokens=sum(map(len, written)),
            seconds={
                name: end - start for name, start, end in zip(_PHASES, times, times[1:], strict=False)
            },
            learning={**seen, "learning_rate": rate},
        )

    def save(self, folder: Path) -> None:
        """Write the weights: an adapter, if one was trained, else the model."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def _advantages(self, _: Sequence[Ask], rewards: Sequence[float | None]) -> Sequence[float]:
        return advantages(rewards, scaled=self.improvement.scale_rewards)

    @property
    def _end(self) -> int:
        return int(self.tokenizer.eos_token_id)

    def _spelled(self, text: str) -> str:
        """A text that is learnt, whose own special tokens would be read as the model's."""
        return without_special_tokens(text, special_tokens_of(self.tokenizer))

    def _tokens(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _sample(
        self, asks: Sequence[Ask], temperature: float, max_tokens: int, seed: int
    ) -> list[tuple[int, ...]]:
        prompts = [self._tokens(self.render(ask)) for ask in asks]
        bounds = None if self.constraint is None else [self.constraint(ask) for ask in asks]
        self.model.eval()
        written: list[tuple[int, ...]] = []
        for at in range(0, len(prompts), self.sample_rows):
            part = slice(at, at + self.sample_rows)
            written += decode(
                self.model,
                prompts[part],
                end=self._end,
                max_tokens=max_tokens,
                temperature=temperature,
                seed=seed * 1_000 + at // self.sample_rows,
                bounds=bounds and bounds[part],
            )
        return written

    def _learn(
        self,
        optimiser: Masters,
        rate: float,
        groups: Sequence[Sequence[Ask]],
        written: Sequence[tuple[int, ...]],
        scored: Sequence[Scored],
    ) -> dict[str, float]:
        rollouts: dict[tuple[Any, ...], _Rollout] = {}
        for group, texts, found in zip(
            groups, _grouped(written, groups), _grouped(scored, groups), strict=True
        ):
            gained = self.advantages(group, [one.reward for one in found])
            for ask, tokens, advantage in zip(group, texts, gained, strict=True):
                if advantage and tokens and (chosen := self._chosen(ask, tokens)):
                    key = (id(ask), tokens)
                    if (one := rollouts.get(key)) is None:
                        one = _Rollout(self._tokens(self.render(ask)), tokens, 0.0, ask, 0, chosen)
                    rollouts[key] = replace(one, advantage=one.advantage + advantage, times=one.times + 1)
        if not rollouts:
            return {"loss": 0.0, "entropy": 0.0, "gradient": 0.0}
        self.model.train()
        total = sum(map(len, groups))
        entropies: list[float] = []

        def losses() -> Iterator[Tensor]:
            for row in _rows(list(rollouts.values()), self.row_tokens):
                loss, entropy = self._row_loss(row)
                entropies.append(entropy)
                yield loss / total

        loss, gradient = optimiser.step(rate, losses)
        return {"loss": loss, "entropy": sum(entropies) / len(entropies), "gradient": gradient}

    def _chosen(self, ask: Ask, tokens: tuple[int, ...]) -> int:
        """How many tokens there are up to the last choice."""
        if self.constraint is None:
            return len(tokens)
        rest = self.constraint(ask).rest
        return next((n for n in range(len(tokens)) if rest(tokens[:n])), len(tokens))

    def _row_loss(self, row: Sequence[_Rollout]) -> tuple[Tensor, float]:
        """The loss of completions of one prompt, summed over rollouts, and the mean entropy of their tokens."""
        device = self.model.device
        prompt = row[0].prompt
        ids, positions, owner = list(prompt), list(range(len(prompt))), [0] * len(prompt)
        at: list[int] = []
        wanted: list[int] = []
        for number, rollout in enumerate(row, 1):
            # The prompt's last token foretells the first token of each completion.
            at += [len(prompt) - 1, *range(len(ids), len(ids) + len(rollout.tokens) - 1)]
            wanted += rollout.tokens
            ids += rollout.tokens
            positions += range(len(prompt), len(prompt) + len(rollout.tokens))
            owner += [number] * len(rollout.tokens)
        of = torch.tensor(owner, device=device)
        order = torch.arange(len(ids), device=device)
        seen = (order[:, None] >= order[None]) & ((of[None] == 0) | (of[None] == of[:, None]))
        dtype = next(self.model.parameters()).dtype
        mask = torch.zeros(seen.shape, dtype=dtype, device=device).masked_fill(
            ~seen, torch.finfo(dtype).min
        )
        hidden = body(self.model)(
            input_ids=torch.tensor([ids], device=device),
            position_ids=torch.tensor([positions], device=device),
            attention_mask=mask[None, None],
            use_cache=False,
        ).last_hidden_state[0]
        logits = head(self.model)(hidden[torch.tensor(at, device=device)]).float()
        logits = logits / self.improvement.temperature
        # The plain gradient: the ratio to the old policy is 1.
        weights = torch.tensor([weight for one in row for weight in one.weights], device=device)
        form = torch.tensor([weight for one in row for weight in one.form], device=device)
        outside: Tensor | float = 0.0
        if self.constraint is not None:
            bound = logits + self._forbidden(row, logits)
            # How unlikely it was, unbound, to write something that is allowed.
            outside = ((logits.logsumexp(-1) - bound.logsumexp(-1)) * form).sum()
            logits = bound
        logs = logits.log_softmax(-1)
        chosen = logs.gather(1, torch.tensor(wanted, device=device)[:, None])[:, 0]
        with torch.no_grad():
            times = torch.tensor([float(one.times) for one in row for _ in one.tokens], device=device)
            entropy = float(-((logs.exp() * logs.clamp_min(-1e4)).sum(-1) * times).sum() / times.sum())
        ratio = (chosen - chosen.detach()).exp()
        return outside - (ratio * weights).sum(), entropy

    def _forbidden(self, row: Sequence[_Rollout], logits: Tensor) -> Tensor:
        added = torch.full_like(logits, -torch.inf)
        place = 0
        for rollout in row:
            assert self.constraint is not None  # noqa: S101 - for the type checker
            allowed = self.constraint(rollout.ask).allowed
            for length in range(len(rollout.tokens)):
                added[place, list(allowed(rollout.tokens[:length]))] = 0
                place += 1
        return added

    def _imitation_loss(
        self, chosen: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]
    ) -> Iterator[Tensor]:
        """The mean loss of the completions' tokens, in parts of similar length."""
        total = sum(len(completion) for _, completion in chosen)
        device = self.model.device
        for part in _buckets(sorted(chosen, key=lambda pair: len(pair[0]) + len(pair[1])), self.row_tokens):
            width = max(len(prompt) + len(completion) for prompt, completion in part)
            ids = torch.full((len(part), width), self._end, device=device)
            real = torch.zeros((len(part), width), dtype=torch.long, device=device)
            told = torch.zeros((len(part), width), dtype=torch.bool, device=device)
            for i, (prompt, completion) in enumerate(part):
                length = len(prompt) + len(completion)
                ids[i, :length] = torch.tensor(prompt + completion, device=device)
                real[i, :length] = 1
                told[i, len(prompt) : length] = True
            hidden = body(self.model)(input_ids=ids, attention_mask=real, use_cache=False).last_hidden_state
            # Chosen first: a product over every position would cost as much as the rest of the model.
            logits = head(self.model)(hidden[:, :-1][told[:, 1:]]).float()
            yield (
                torch.nn.functional.cross_entropy(logits, ids[:, 1:][told[:, 1:]], reduction="sum") / total
            )

    def _optimiser(self, rate: float, clip_norm: float) -> Masters:
        return Masters([p for p in self.model.parameters() if p.requires_grad], rate, clip_norm)


class _Progress:
    """How far training has come; a checkpoint is written on time, and when it ends, however it ends."""

    def __init__(self, optimiser: Masters, folder: Path, minutes: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._optimiser, self._path, self._minutes = optimiser, folder / _CHECKPOINT, minutes
        self.done = self._saved_at = 0
        self._saved = time.monotonic()

    def __enter__(self) -> "_Progress":
        if self._path.is_file():
            self.done = self._saved_at = self._optimiser.load(self._path)
        return self

    def __exit__(self, *_: object) -> None:
        if self.done != self._saved_at:
            self._save()

    def advance(self) -> None:
        """One more step was taken."""
        self.done += 1
        if time.monotonic() - self._saved > 60 * self._minutes:
            self._save()

    def _save(self) -> None:
        self._optimiser.save(self._path, self.done)
        self._saved, self._saved_at = time.monotonic(), self.done


def adapted(model: Any, lora: Lora) -> Any:
    """The model with a new adapter to train.

    Raises:
        ValueError: If the adapter would begin above the model's last layer.
    """
    from peft import LoraConfig, get_peft_model

    layers = model.config.num_hidden_layers
    if lora.from_layer >= layers:
        raise ValueError(f"from_layer = {lora.from_layer}, but the model has {layers} layers, from 0")
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=int(lora.alpha),
        target_modules=list(lora.modules),
        layers_to_transform=list(range(lora.from_layer, layers)) if lora.from_layer else None,
        task_type="CAUSAL_LM",
    )
    # In the model's own type: peft's default, float32, is cast to it in every layer, at half of a step's time.
    return get_peft_model(model, config, autocast_adapter_dtype=False)


def _grouped(flat: Sequence[Any], groups: Sequence[Sequence[Ask]]) -> list[list[Any]]:
    rest = iter(flat)
    return [[next(rest) for _ in group] for group in groups]


def _rows(rollouts: Sequence[_Rollout], most: int) -> Iterator[list[_Rollout]]:
    """Rollouts of one prompt together, in rows of at most `most` tokens."""
    together: dict[tuple[tuple[int, ...], int], list[_Rollout]] = {}
    for rollout in rollouts:
        together.setdefault((rollout.prompt, id(rollout.ask)), []).append(rollout)
    for same in together.values():
        row: list[_Rollout] = []
        length = len(same[0].prompt)
        for rollout in same:
            if row and length + len(rollout.tokens) > most:
                yield row
                row, length = [], len(rollout.prompt)
            row.append(rollout)
            length += len(rollout.tokens)
        yield row


def _buckets(pairs: Sequence[tuple[Any, Any]], most: int) -> Iterator[list[tuple[Any, Any]]]:
    """Neighbours together, in parts of at most `most` tokens after padding."""
    part: list[tuple[Any, Any]] = []
    for pair in pairs:
        if part and (len(part) + 1) * (len(pair[0]) + len(pair[1])) > most:
            yield part
            part = []
        part.append(pair)
    yield part


def _drawn(count: int, start: int, size: int, seed: int) -> list[int]:
    """Places `start` to `start + size` of an endless row of shuffled epochs."""
    found: list[int] = []
    while len(found) < size:
        epoch, offset = divmod(start + len(found), count)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(seed * 7919 + epoch)).tolist()
        found += order[offset : offset + size - len(found)]
    return found


def _schedule(peak: float, steps: int, warmup: float, kind: str) -> Callable[[int], float]:
    rising = math.ceil(warmup * steps)

    def rate(step: int) -> float:
        if step < rising:
            return peak * (step + 1) / rising
        if kind == "constant":
            return peak
        return peak * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))

    return rate

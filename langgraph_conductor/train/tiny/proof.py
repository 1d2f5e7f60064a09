"""The stages of the small proof. Each leaves files in the folder, and is not run again where they are."""

import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from langgraph_conductor.evals import Evaluation, summarise
from langgraph_conductor.evals.suites.tiny import tiny_suite
from langgraph_conductor.local.pool import CONDUCTOR
from langgraph_conductor.local.specialists import GENERALIST, SPECIALISTS
from langgraph_conductor.planners.showing import Show
from langgraph_conductor.replay import ReplyStore
from langgraph_conductor.rewards import Task
from langgraph_conductor.train.files import read_lines, write_lines
from langgraph_conductor.train.learning.advantages import advantages_of, hopeful_advantages
from langgraph_conductor.train.learning.asks import Ask
from langgraph_conductor.train.learning.grammar import Grammar
from langgraph_conductor.train.learning.groups import (
    batches,
    first_rounds,
    load_first_rounds,
    recursive_batches,
    save_first_rounds,
)
from langgraph_conductor.train.learning.scoring import Scorer
from langgraph_conductor.train.learning.settings import Improvement
from langgraph_conductor.train.results.diagnostics import Diagnostics
from langgraph_conductor.train.results.publish import publish
from langgraph_conductor.train.tiny.base import load_base
from langgraph_conductor.train.tiny.card import facts_of
from langgraph_conductor.train.tiny.conducting import (
    MOST_STEPS,
    Found,
    best_constant,
    drawn_batches,
    mixed,
    random_routing,
    sought,
    varied,
)
from langgraph_conductor.train.tiny.findings import table
from langgraph_conductor.train.tiny.keeping import Stage, keep
from langgraph_conductor.train.tiny.limits import found_in, limits
from langgraph_conductor.train.tiny.measuring import EVALUATION, measured, write_page
from langgraph_conductor.train.tiny.names import STAGES
from langgraph_conductor.train.tiny.recipe import Recipe
from langgraph_conductor.train.tiny.teaching import teach
from langgraph_conductor.train.tiny.thoughts import Thoughts
from langgraph_conductor.train.tiny.world import World
from langgraph_conductor.train.trainers.engine import prompt_text
from langgraph_conductor.train.trainers.plain import PlainTrainer

_AT_ONCE: Final = 50
"""Questions whose plans are sought at once."""
_RIGHT: Final = "right"
_PLANS: Final = "plans.jsonl"
_FIRST_ROUNDS: Final = 4
"""Of each question that second rounds go on from."""

Say = Callable[[str], None]


_SPECIALISTS: Final = tuple(SPECIALISTS)


class Proof:
    """The small proof in a folder.

    Args:
        folder: Where everything is kept.
        device: Where models are: `"cpu"`, or a GPU such as `"cuda"`.
        say: Is told of progress.
        recipe: How much of everything.
    """

    def __init__(
        self, folder: Path, device: str = "cpu", say: Say = print, recipe: Recipe | None = None
    ) -> None:
        self.folder, self.device, self.say = folder, device, say
        self.recipe = recipe or Recipe()
        self.suite = tiny_suite()

    def stages(self, seeds: Sequence[int], items: int | None = None) -> list[Stage]:
        """All that has to be done, in order.

        Args:
            seeds: Of the conductors.
            items: Most questions of the table; `None` for all of the test split.
        """
        return [
            *self._workers(),
            *(stage for seed in seeds for stage in self._conductors(seed)),
            *self._results(seeds, items),
        ]

    def run(self, stage: Stage) -> None:
        """Run a stage, unless it is done.

        Raises:
            ConfigError: See `keep`.
        """
        ran = keep(stage, self.folder)
        self.say(f"{stage.name}: {'done' if ran else 'was done'}")

    def _workers(self) -> Iterator[Stage]:
        settings = self._settings("adapter", "lessons", "teaching")
        for name in (*SPECIALISTS, GENERALIST):
            yield Stage(name, (), settings, partial(self._teach, name))
        yield Stage(_RIGHT, _SPECIALISTS, self._settings("single_tried", "composed_tried"), self._seek)

    def _conductors(self, seed: int) -> Iterator[Stage]:
        for name, needs, settings, run in (
            ("sft", (_RIGHT,), ("adapter", "varied", "imitation"), self._imitate),
            ("grpo", (f"sft-{seed}",), ("learnt_from", "composed", "rewards", "named"), self._improve),
            (
                "recursion",
                (f"grpo-{seed}",),
                ("learnt_from", "composed", "rewards", "again", "begun", "recursion"),
                self._recur,
            ),
            ("form", (), ("adapter", "form_shown", "imitation"), self._form),
            ("reward", (f"form-{seed}",), ("learnt_from", "rewards", "anonymous"), self._reward_alone),
        ):
            told = {"seed": seed, **self._settings(*settings)}
            yield Stage(f"{name}-{seed}", (*_SPECIALISTS, *needs), told, partial(run, seed))

    def _results(self, seeds: Sequence[int], items: int | None) -> Iterator[Stage]:
        trained = _trained(seeds)
        settings = {
            "seeds": [*seeds],
            "items": items,
            **self._settings("chosen_on", "composed"),
        }
        measure = partial(self._measure, seeds, items)
        yield Stage("table", (*_SPECIALISTS, GENERALIST, *trained), settings, measure, renewed=True)
        publish = partial(self._publish, seeds)
        yield Stage("publish", ("table", *_SPECIALISTS, *trained), {}, publish, renewed=True)

    # ------------------------------------------------------------- workers

    def _teach(self, name: str, folder: Path) -> None:
        """One specialist, or the generalist."""
        base, tokenizer = self._base()
        teach(name, base, tokenizer, self.suite.tasks("train"), folder, self.recipe)

    def _seek(self, folder: Path) -> None:
        """Plans that were tried at random, ran, and were right."""
        tasks = mixed(self.suite.tasks("train"), *self._sought)
        found: list[Found] = []
        with self._world() as world, self._scorer(world.planner("")) as scorer:
            pool = world.pool()
            for at in range(0, len(tasks), _AT_ONCE):
                found += sought(tasks[at : at + _AT_ONCE], pool, scorer.run)
                self.say(f"right plans for {len(found)} of {min(at + _AT_ONCE, len(tasks))} questions")
        write_lines(folder / _PLANS, (one.to_json() for one in found))

    # ----------------------------------------------------- named conductor

    def _imitate(self, seed: int, folder: Path) -> None:
        """The named conductor, taught by right plans."""
        found = [Found.from_json(row) for row in read_lines(self.folder / _RIGHT / _PLANS)]
        with self._world() as world:
            shown = varied(found, world.model_of, self.recipe.varied, seed)
            trainer = self._trainer(world, seed=seed, imitation=self.recipe.imitation)
        self.say(f"imitating {len(shown)} plans, seed {seed}")
        trainer.imitate(shown, folder / "checkpoint")
        trainer.save(folder)

    def _improve(self, seed: int, folder: Path) -> None:
        """The named conductor, improved by rewards."""
        settings = self.recipe.named
        with self._world() as world, self._scorer(world.planner("")) as scorer:
            drawn = drawn_batches(
                self._learning(seed, self.recipe.composed),
                world.model_of,
                settings.questions,
                settings.rollouts,
                seed=seed,
                version=world.version,
            )
            trainer = self._trainer(
                world,
                seed=seed,
                start=self.folder / f"sft-{seed}",
                improvement=settings,
                watch=self._watch(folder, scorer),
            )
            trainer.improve(drawn, scorer.run, folder / "checkpoint")
        trainer.save(folder)

    def _recur(self, seed: int, folder: Path) -> None:
        """The named conductor, improved on second rounds that go on from its own first ones."""
        tasks = self._learning(seed, self.recipe.composed)[: self.recipe.begun]
        with self._world() as world, self._scorer(world.planner("")) as scorer:
            pool = world.pool()
            trainer = self._trainer(
                world,
                seed=seed,
                start=self.folder / f"grpo-{seed}",
                improvement=self.recipe.again,
                advantages=advantages_of(self.recipe.recursion, scaled=self.recipe.again.scale_rewards),
                watch=self._watch(folder, scorer),
            )
            begun = folder / "first_rounds.jsonl"
            if not begun.is_file():
                asks = [Ask(task, pool) for task in tasks for _ in range(_FIRST_ROUNDS)]
                texts = trainer.sample(
                    asks, temperature=1.0, max_tokens=self.recipe.again.max_tokens, seed=seed
                )
                save_first_rounds(first_rounds(asks, scorer.run(asks, texts)), begun)
            drawn = recursive_batches(
                load_first_rounds(begun),
                tasks,
                pool,
                self.recipe.again,
                self.recipe.recursion,
                seed=seed,
                permute=True,
                show="described",
            )
            trainer.improve(drawn, scorer.run, folder / "checkpoint")
        trainer.save(folder)

    # ------------------------------------------------- anonymous conductor

    def _form(self, seed: int, folder: Path) -> None:
        """The anonymous conductor, taught the form alone."""
        tasks = mixed(self.suite.tasks("train"), self.recipe.form_shown)
        with self._world() as world:
            shown = list(random_routing(tasks, world.pool(), seed))
            trainer = self._trainer(world, seed=seed, imitation=self.recipe.imitation, show="anonymous")
        trainer.imitate(shown, folder / "checkpoint")
        trainer.save(folder)

    def _reward_alone(self, seed: int, folder: Path) -> None:
        """The anonymous conductor, improved by rewards."""
        with self._world() as world, self._scorer(world.planner("", "anonymous")) as scorer:
            tasks = self._learning(seed, 0)
            drawn = batches(tasks, world.pool(), self.recipe.anonymous, seed=seed, in_turn=True)
            trainer = self._trainer(
                world,
                seed=seed,
                start=self.folder / f"form-{seed}",
                improvement=self.recipe.anonymous,
                advantages=self._hopeful,
                most_steps=1,
                show="anonymous",
                watch=self._watch(folder, scorer),
            )
            trainer.improve(drawn, scorer.run, folder / "checkpoint")
        trainer.save(folder)

    # ------------------------------------------------------------- results

    def _measure(self, seeds: Sequence[int], items: int | None, folder: Path) -> None:
        """Ask everybody the questions of the test split; write the data and the page."""
        tasks = mixed(self.suite.tasks("train"), self.recipe.chosen_on, self.recipe.composed)
        with self._world(GENERALIST, *_trained(seeds)) as world:
            with self._scorer(world.planner("")) as scorer:
                constant = best_constant(tasks, world.pool(), scorer.run)
            with ReplyStore(self.folder / "replies.sqlite") as store:
                found = measured(world, self.suite, store, seeds, items, self.recipe.chosen_on, constant)
        rewarded = [f"{stage}-{seed}" for stage in ("grpo", "recursion", "reward") for seed in seeds]
        trainings = {name: self.folder / name / "diagnostics" for name in rewarded}
        found.save(folder / EVALUATION)
        write_page(found, trainings, self.suite, self.recipe, folder / "report.html")

    def _publish(self, seeds: Sequence[int], folder: Path) -> None:
        """Write the specialists and the first seed's conductor for llama.cpp, with their card."""
        evaluation = Evaluation.load(self.folder / "table" / EVALUATION)
        summary = summarise(evaluation)
        unshown = limits(found_in(evaluation, summary), self.suite, self.recipe)
        facts = facts_of(table(evaluation, summary), unshown, self.suite, self.recipe, seeds)
        adapters = {name: self.folder / name for name in SPECIALISTS}
        adapters[CONDUCTOR] = self.folder / f"grpo-{seeds[0]}"
        publish(adapters, self.folder / "base", folder, facts, peft=False, most_bytes=20_000_000)

    # --------------------------------------------------------------- parts

    def _settings(self, *names: str) -> dict[str, Any]:
        """Parts of the recipe, as JSON, and which questions there are."""
        whole = self.recipe.model_dump(mode="json")
        return {name: whole[name] for name in names} | {"suite": self.suite.about["revision"]}

    def _world(self, *conductors: str) -> World:
        """The workers, and conductors."""
        base, tokenizer = self._base()
        return World(base, tokenizer, self.folder, (*SPECIALISTS, *conductors))

    @property
    def _sought(self) -> tuple[int, float]:
        """How many questions right plans are sought for, and the share of composed ones."""
        count = self.recipe.single_tried + self.recipe.composed_tried
        return count, self.recipe.composed_tried / count

    def _learning(self, seed: int, composed: float) -> list[Task]:
        """Training questions in an order of the seed's own, a share of them composed.

        They are others than those whose right plans the warm start was shown.
        """
        sought = mixed(self.suite.tasks("train"), *self._sought)
        known = {task.id for task in sought}
        rest = [task for task in self.suite.tasks("train") if task.id not in known]
        tasks = mixed(rest, self.recipe.learnt_from, composed)
        random.Random(f"learning:{seed}").shuffle(tasks)  # noqa: S311 - no secret is made here
        return tasks

    def _trainer(
        self,
        world: World,
        *,
        seed: int,
        start: Path | None = None,
        show: Show = "described",
        improvement: Improvement | None = None,
        most_steps: int = MOST_STEPS,
        **options: Any,
    ) -> PlainTrainer:
        from peft import PeftModel

        base, tokenizer = self._base()
        thoughts = partial(Thoughts.of, anonymous=show == "anonymous", most=most_steps)
        planner = world.planner("", show)
        if start is not None:
            base = PeftModel.from_pretrained(
                base, str(start), is_trainable=True, autocast_adapter_dtype=False
            )
        return PlainTrainer(
            base,
            tokenizer,
            lambda ask: prompt_text(tokenizer, planner.render(ask.request(MOST_STEPS))),
            lora=self.recipe.adapter if start is None else None,
            seed=seed,
            improvement=improvement,
            constraint=Grammar(tokenizer, thoughts) if improvement else None,
            **options,
        )

    def _hopeful(self, _: Sequence[Ask], rewards: Sequence[float | None]) -> list[float]:
        scaled = self.recipe.anonymous.scale_rewards
        return hopeful_advantages(
            rewards, self.recipe.rewards.wrong, self.recipe.rewards.right, scaled=scaled
        )

    def _scorer(self, planner: Any) -> Scorer:
        store = ReplyStore(self.folder / "replies.sqlite")
        return Scorer(
            planner, rewards=self.recipe.rewards, store=store, concurrency=256, max_steps=MOST_STEPS
        )

    def _watch(self, folder: Path, scorer: Scorer) -> Callable[[Any], None]:
        diagnostics = Diagnostics(folder / "diagnostics", scorer.expenses)

        def watch(step: Any) -> None:
            diagnostics(step)
            found = [one for group in step.scored for one in group]
            right = sum(one.episode.score == 1 for one in found) / len(found)
            spent = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in step.seconds.items())
            self.say(f"{folder.name} step {step.number}: {right:.0%} right; {spent}")

        return watch

    def _base(self) -> tuple[Any, Any]:
        return load_base(self.folder / "base", self.device)


def _trained(seeds: Sequence[int]) -> list[str]:
    """The conductors of the table."""
    return [f"{stage}-{seed}" for stage in (*STAGES.values(), "recursion") for seed in seeds]

"""The stages of the small proof. Each leaves files in the folder, and is not run again where they are."""

import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from langgraph_conductor.evals import Evaluation
from langgraph_conductor.evals.suites.tiny import tiny_suite
from langgraph_conductor.local.pool import CONDUCTOR
from langgraph_conductor.local.specialists import GENERALIST, SPECIALISTS
from langgraph_conductor.local.weights import FILE_SHA256
from langgraph_conductor.planners.showing import Show
from langgraph_conductor.replay import ReplyStore
from langgraph_conductor.rewards import Task
from langgraph_conductor.train.files import read_lines, write_lines
from langgraph_conductor.train.learning.advantages import advantages_of
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
from langgraph_conductor.train.results.publish import COMPLEMENTARY, Facts, publish
from langgraph_conductor.train.tiny.base import NAME, load_base
from langgraph_conductor.train.tiny.conducting import (
    MOST_STEPS,
    Found,
    mixed,
    random_routing,
    renamed_batches,
    sought,
    varied,
)
from langgraph_conductor.train.tiny.contenders import STAGES
from langgraph_conductor.train.tiny.findings import table
from langgraph_conductor.train.tiny.measuring import measured, write_page
from langgraph_conductor.train.tiny.recipe import Recipe
from langgraph_conductor.train.tiny.teaching import teach
from langgraph_conductor.train.tiny.thoughts import Thoughts
from langgraph_conductor.train.tiny.world import World
from langgraph_conductor.train.trainers.engine import prompt_text
from langgraph_conductor.train.trainers.plain import PlainTrainer

_AT_ONCE: Final = 50
"""Questions whose plans are sought at once."""

Say = Callable[[str], None]


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

    # ------------------------------------------------------------- workers

    def specialists(self) -> None:
        """Teach every specialist, and the generalist."""
        for name in (*SPECIALISTS, GENERALIST):
            self.specialist(name)

    def specialist(self, name: str) -> None:
        """Teach one."""
        if not self._done(self.folder / name):
            self.say(f"teaching {name}")
            base, tokenizer = self._base()
            teach(name, base, tokenizer, self.suite.tasks("train"), self.folder / name, self.recipe)

    def world(self, *conductors: str) -> World:
        """The workers, and conductors that are there."""
        base, tokenizer = self._base()
        return World(base, tokenizer, self.folder, (*SPECIALISTS, *conductors))

    # ----------------------------------------------------- named conductor

    def sought(self) -> list[Found]:
        """Plans that were tried at random, ran, and were right."""
        path = self.folder / "right.jsonl"
        if not path.is_file():
            world = self.world()
            pool = world.pool()
            count = self.recipe.single_tried + self.recipe.composed_tried
            tasks = mixed(self.suite.tasks("train"), count, self.recipe.composed_tried / count)
            found: list[Found] = []
            with self._scorer(world.planner("")) as scorer:
                for at in range(0, len(tasks), _AT_ONCE):
                    found += sought(tasks[at : at + _AT_ONCE], pool, scorer.run)
                    self.say(f"right plans for {len(found)} of {min(at + _AT_ONCE, len(tasks))} questions")
            write_lines(path, (one.to_json() for one in found))
        return [Found.from_json(row) for row in read_lines(path)]

    def imitate(self, seed: int) -> None:
        """The named conductor, taught by right plans."""
        folder = self.folder / f"sft-{seed}"
        if self._done(folder):
            return
        world = self.world()
        shown = varied(self.sought(), world.model_of, self.recipe.varied, seed)
        self.say(f"imitating {len(shown)} plans, seed {seed}")
        trainer = self._trainer(world, seed=seed, imitation=self.recipe.imitation)
        trainer.imitate(shown, folder / "checkpoint")
        trainer.save(folder)

    def improve(self, seed: int) -> None:
        """The named conductor, improved by rewards."""
        folder = self.folder / f"grpo-{seed}"
        if self._done(folder):
            return
        world = self.world()
        tasks = self._learning(seed, self.recipe.composed)
        settings = self.recipe.named
        drawn = renamed_batches(
            tasks,
            world.model_of,
            settings.questions,
            settings.rollouts,
            seed=seed,
            version=world.version,
        )
        with self._scorer(world.planner("")) as scorer:
            trainer = self._trainer(
                world,
                seed=seed,
                start=self.folder / f"sft-{seed}",
                improvement=settings,
                watch=self._watch(folder, scorer),
            )
            trainer.improve(drawn, scorer.run, folder / "checkpoint")
        trainer.save(folder)

    def recur(self, seed: int) -> None:
        """The named conductor, improved on second rounds that go on from its own first ones."""
        folder = self.folder / f"recursion-{seed}"
        if self._done(folder):
            return
        world = self.world()
        pool = world.pool()
        tasks = self._learning(seed, self.recipe.composed)[: self.recipe.begun]
        with self._scorer(world.planner("")) as scorer:
            trainer = self._trainer(
                world,
                seed=seed,
                start=self.folder / f"grpo-{seed}",
                improvement=self.recipe.again,
                advantages=advantages_of(self.recipe.recursion),
                watch=self._watch(folder, scorer),
            )
            begun = folder / "first_rounds.jsonl"
            if not begun.is_file():
                folder.mkdir(exist_ok=True)
                asks = [Ask(task, pool) for task in tasks for _ in range(4)]
                texts = trainer.sample(
                    asks, temperature=1.0, max_tokens=self.recipe.named.max_tokens, seed=seed
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

    def form(self, seed: int) -> None:
        """The anonymous conductor, taught the form alone."""
        folder = self.folder / f"form-{seed}"
        if self._done(folder):
            return
        world = self.world()
        tasks = mixed(self.suite.tasks("train"), self.recipe.form_shown)
        shown = list(random_routing(tasks, world.pool(), seed))
        trainer = self._trainer(world, seed=seed, imitation=self.recipe.imitation, show="anonymous")
        trainer.imitate(shown, folder / "checkpoint")
        trainer.save(folder)

    def reward_alone(self, seed: int) -> None:
        """The anonymous conductor, improved by rewards."""
        folder = self.folder / f"reward-{seed}"
        if self._done(folder):
            return
        world = self.world()
        tasks = self._learning(seed, 0)
        drawn = batches(tasks, world.pool(), self.recipe.anonymous, seed=seed, in_turn=True)
        with self._scorer(world.planner("", "anonymous")) as scorer:
            trainer = self._trainer(
                world,
                seed=seed,
                start=self.folder / f"form-{seed}",
                improvement=self.recipe.anonymous,
                show="anonymous",
                watch=self._watch(folder, scorer),
            )
            trainer.improve(drawn, scorer.run, folder / "checkpoint")
        trainer.save(folder)

    # ------------------------------------------------------------- results

    def measure(self, seeds: Sequence[int], items: int | None = None) -> Evaluation:
        """Ask everybody the questions of the test split; write the data and the page."""
        path = self.folder / "evaluation.json"
        if path.is_file():
            return Evaluation.load(path)
        trained = [f"{stage}-{seed}" for stage in (*STAGES.values(), "recursion") for seed in seeds]
        with ReplyStore(self.folder / "replies.sqlite") as store:
            found = measured(
                self.world(GENERALIST, *trained), self.suite, store, seeds, items, self.recipe.chosen_on
            )
        found.save(path)
        rewarded = [f"{stage}-{seed}" for stage in ("grpo", "recursion", "reward") for seed in seeds]
        trainings = {name: self.folder / name / "diagnostics" for name in rewarded}
        write_page(found, trainings, self.folder / "report.html")
        return found

    def publish(self, seeds: Sequence[int]) -> None:
        """Write the specialists and the first seed's conductor for llama.cpp, with their card."""
        found = table(self.measure(seeds))
        adapters = {name: self.folder / name for name in SPECIALISTS}
        adapters[CONDUCTOR] = self.folder / f"grpo-{seeds[0]}"
        facts = Facts(
            title="Specialists and a conductor for langgraph_conductor",
            base=NAME,
            base_sha256=FILE_SHA256,
            data='The training split of the suite "tiny", revision ' + str(self.suite.about["revision"]),
            seeds=seeds,
            settings=self.recipe.model_dump(exclude_defaults=False),
            figures=[dict(zip(found.head, row, strict=True)) for row in found.rows],
            notes=[
                COMPLEMENTARY,
                f"The conductor is that of seed {seeds[0]}; the figures are means over the seeds.",
            ],
            command="python -m langgraph_conductor.train.tiny",
        )
        publish(
            adapters,
            self.folder / "base",
            self.folder / "adapters",
            facts,
            peft=False,
            most_bytes=20_000_000,
        )

    # --------------------------------------------------------------- parts

    def _learning(self, seed: int, composed: float) -> list[Task]:
        """Training questions in an order of the seed's own, a share of them composed."""
        tasks = mixed(self.suite.tasks("train"), self.recipe.learnt_from, composed)
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
        **options: Any,
    ) -> PlainTrainer:
        from peft import PeftModel

        base, tokenizer = self._base()
        thoughts = partial(Thoughts.of, anonymous=show == "anonymous")
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

    def _done(self, folder: Path) -> bool:
        return (folder / "adapter_model.safetensors").is_file()


def stages(proof: Proof, seeds: Sequence[int]) -> Sequence[tuple[str, Callable[[], object]]]:
    """All that has to be done, in order."""
    found: list[tuple[str, Callable[[], object]]] = [
        ("specialists", proof.specialists),
        ("right", proof.sought),
    ]
    for seed in seeds:
        found += [
            (f"sft-{seed}", lambda seed=seed: proof.imitate(seed)),  # type: ignore[misc]
            (f"grpo-{seed}", lambda seed=seed: proof.improve(seed)),  # type: ignore[misc]
            (f"recursion-{seed}", lambda seed=seed: proof.recur(seed)),  # type: ignore[misc]
            (f"form-{seed}", lambda seed=seed: proof.form(seed)),  # type: ignore[misc]
            (f"reward-{seed}", lambda seed=seed: proof.reward_alone(seed)),  # type: ignore[misc]
        ]
    found += [("table", lambda: proof.measure(seeds)), ("publish", lambda: proof.publish(seeds))]
    return found

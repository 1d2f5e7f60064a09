"""Every number of the small proof. They were changed after trials before the table: see `limits`."""

from typing import Final

from langgraph_conductor.local.conductor import MOST_PLAN_TOKENS
from langgraph_conductor.train.learning.advantages import Recursion
from langgraph_conductor.train.learning.rewards import Rewards
from langgraph_conductor.train.learning.settings import Imitation, Improvement, Lora, Settings

_NAMED: Final = Improvement(
    steps=40,
    questions=12,
    rollouts=8,
    learning_rate=3e-4,
    schedule="cosine",
    scale_rewards=False,
    max_tokens=MOST_PLAN_TOKENS,
    save_minutes=5,
)


class Recipe(Settings):
    """How much of everything."""

    adapter: Lora = Lora(rank=8, alpha=16, from_layer=15)
    """Of every adapter: on the upper half of the layers, which halves both its size and the time of a step."""
    lessons: int = 1000
    """Examples of a specialist; the generalist has as many as all of them together."""
    teaching: Imitation = Imitation(epochs=1, batch=16, learning_rate=1e-3)
    single_tried: int = 90
    """Questions of one skill whose plans are sought at random."""
    composed_tried: int = 110
    """The same of two skills."""
    varied: int = 8
    """Times each right plan is shown, every time with workers that are drawn anew."""
    imitation: Imitation = Imitation(epochs=1, batch=8, learning_rate=1e-3)
    learnt_from: int = 240
    """Questions that rewards are learnt from; every seed has the same, in its own order."""
    composed: float = 5 / 12
    """Of these, the questions of two skills: as many of each domain, so that a step has one of each."""
    rewards: Rewards = Rewards(cost_weight=0.1, cost="steps", cost_scale=3)
    """A right plan is worth a little less for each step: else steps that do no harm are learnt too."""
    named: Improvement = _NAMED
    """Of the conductor that is shown names and descriptions."""
    again: Improvement = _NAMED.model_copy(update={"steps": 6, "learning_rate": 1e-4})
    """Of second rounds, at a third of the rate: what they teach first is to accept."""
    begun: int = 64
    """Questions with first rounds to go on from."""
    recursion: Recursion = Recursion(normalise="per_round")
    """First rounds are compared with first rounds: beside second ones, all of them are below the mean, no plan is
    good, and nothing keeps the policy from accepting where there is no answer yet."""
    form_shown: int = 1500
    """Plans of random routing that teach the anonymous conductor the form."""
    anonymous: Improvement = _NAMED.model_copy(
        update={
            "steps": 80,
            "questions": 7,
            "rollouts": 16,
            "learning_rate": 4e-4,
            "max_tokens": 60,
            "schedule": "constant",
            "scale_rewards": True,
        }
    )
    """Of the conductor that is shown numbers alone. It learns from questions of one skill, one of each a step,
    with plans of one step: chance is right in one of fifty plans of two, and teaches how many steps to write
    before it teaches who can do what."""
    chosen_on: int = 60
    """Training questions on which the best worker and the best constant workflow are chosen."""

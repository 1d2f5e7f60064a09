"""What the contenders of the small proof are called, and what is said of all of them."""

from collections.abc import Mapping
from typing import Final

SFT: Final = "SFT"
GRPO: Final = "SFT + GRPO"
AGAIN: Final = f"{GRPO}, 2 rounds"
RECURSION: Final = "SFT + GRPO + recursion, 2 rounds"
FORM: Final = "anonymous: form only"
REWARD: Final = "anonymous: form + GRPO"
MIXTURE: Final = "mixture of agents"
COMBINED: Final = f"{MIXTURE}, combined by the generalist"
"""The generalist was taught all skills, though not to combine: of all aggregators it knows most questions."""
CONSTANT: Final = "best constant workflow, as taught"
"""In the wordings that the workers were taught, which the evaluation's own does not know."""
RANDOM: Final = "random workflow, as taught"
ORACLE_WORKFLOW: Final = "oracle workflow"

STAGES: Final[Mapping[str, str]] = {SFT: "sft", GRPO: "grpo", FORM: "form", REWARD: "reward"}
"""Which adapter plans: the folder's name, less the seed."""

COMPLEMENTARY: Final = (
    "The pool is complementary by construction: every specialist was taught one skill and no other, so a plan "
    "that finds the right ones must win. What is shown is that a conductor learns to find them for questions "
    "worded as in its training, not that other wordings or other pools are like these."
)

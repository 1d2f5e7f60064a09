"""Worked plans shown to a prompted planner.

Their subjects (a garden, a letter, a journey, an exhibition) are in no evaluation suite of this
project, and none is a single step: the paper found examples from other domains to work better than
ones from the task's own (table 4), and one-step examples teach planners to stop planning.
"""

from typing import Final

from langgraph_conductor.prompts import Example

EXAMPLES: Final = (
    Example(
        "Which herbs could share a balcony box that gets sun only in the morning? Answer in a table.",
        "Choosing the herbs is one piece of work. A second model should check light and water needs, "
        "because one thirsty herb spoils the box, and set the table.",
        (
            (1, "List herbs that do well with morning sun only, with their need for water.", []),
            (
                0,
                "Check the proposed herbs against each other, drop those that do not fit together, and "
                "answer with a table of herb, light and water.",
                ["all"],
            ),
        ),
    ),
    Example(
        "Write a short letter asking my neighbour to trim the hedge. We get on well and should go on so.",
        "Tone decides here. Two models can draft independently, one warm, one brief, at the same time; a "
        "third keeps the best of both.",
        (
            (0, "Draft the letter so that it is warm and names one thing the neighbour does well.", []),
            (2, "Draft the letter in at most five plain sentences.", []),
            (1, "Merge the two drafts into one short, friendly letter. Give only the letter.", [0, 1]),
        ),
    ),
    Example(
        "Plan a rainy Sunday in a port town for a family with a toddler and a grandfather who walks "
        "slowly.",
        "What suits the toddler and what suits the grandfather are separate questions. Someone joins "
        "them into a day, and since distances matter a last model checks and writes the answer.",
        (
            (2, "Collect indoor things a toddler enjoys in a port town, with how long each lasts.", []),
            (0, "Collect things a slow walker enjoys in a port town that need few steps.", []),
            (1, "Make one day out of both lists, with short ways between the stops.", [0, 1]),
            (
                0,
                "Check the day for hurry, missing meals and long ways, mend it, and give the final plan "
                "by the hour.",
                [2],
            ),
        ),
    ),
    Example(
        "I have six old radios and one wall. Suggest a small exhibition with a title and a card for each.",
        "First an idea that holds the six together. Cards and title can then be written side by side from "
        "it. A critical reader goes over them before one model sets the final text.",
        (
            (1, "Propose one idea that makes six old radios an exhibition, and the order on the wall.", []),
            (0, "Write a card of two sentences for each radio, following the idea.", [0]),
            (2, "Suggest five titles for the exhibition that fit the idea.", [0]),
            (1, "Say what is dull, wrong or repeated in the cards and titles.", [1, 2]),
            (
                0,
                "Choose the title, rewrite the cards with the criticism in mind, and give title, order "
                "and cards.",
                ["all"],
            ),
        ),
    ),
)

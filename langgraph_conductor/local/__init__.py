"""The embedded pool: a small model served on loopback, and two workers that are plain functions.

Nothing here needs a key, and after the first start nothing needs a network. It shows the machinery,
not quality: the model has 135 million parameters.
"""

from langgraph_conductor.local.pool import model, planner, worker, workers

__all__ = ["model", "planner", "worker", "workers"]

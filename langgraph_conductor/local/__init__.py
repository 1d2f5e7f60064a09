"""The embedded pool: a small model served on loopback, adapters of it, and an exact calculator.

Nothing here needs a key, and after the first start nothing needs a network. It shows the method at its
smallest, not quality: the model has 135 million parameters.
"""

from langgraph_conductor.local.pool import model, planner, worker, workers

__all__ = ["model", "planner", "worker", "workers"]

"""Workers: what they may be, and how they are called."""

from langgraph_conductor.workers.pool import WorkerPool
from langgraph_conductor.workers.worker import Worker

__all__ = ["Worker", "WorkerPool"]

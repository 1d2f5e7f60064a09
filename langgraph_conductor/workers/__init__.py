"""Workers: what they may be, and how they are called."""

from langgraph_conductor.workers.limits import Limiter
from langgraph_conductor.workers.models import chat_model
from langgraph_conductor.workers.pool import WorkerPool
from langgraph_conductor.workers.worker import Worker

__all__ = ["Limiter", "Worker", "WorkerPool", "chat_model"]

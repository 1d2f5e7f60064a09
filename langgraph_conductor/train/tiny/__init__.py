"""A small, real proof: one model of 135 million parameters, adapters of it as workers and as their conductor.

    python -m langgraph_conductor.train.tiny

makes everything anew: the specialists, the conductor, and the table that compares it with what is simpler.
"""

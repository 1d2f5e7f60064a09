"""Evaluation: every strategy on one engine, one grader, one budget, and a report that can say no."""

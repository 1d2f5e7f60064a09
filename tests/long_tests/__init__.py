"""Slow tests with real servers and real kills: `make test-long`."""

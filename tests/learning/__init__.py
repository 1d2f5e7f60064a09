"""Learning, shown without a GPU: `make test-learning`."""

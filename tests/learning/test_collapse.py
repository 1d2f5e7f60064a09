"""Without a grammar, and with too large steps, a policy loses the format; that ends the run."""

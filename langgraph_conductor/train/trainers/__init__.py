"""Who learns: TRL, or a trainer of our own for small models, and what decodes for it."""

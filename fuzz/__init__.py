"""Mutated inputs of every kind that a stranger can supply, and what must hold for each of them."""

"""One module for each kind of input: how an input is made from a seed, and what reads it."""

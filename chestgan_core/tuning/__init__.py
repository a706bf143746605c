"""Hyperparameter studies: many short trainings of one experiment, and the best of them as an experiment of its own."""

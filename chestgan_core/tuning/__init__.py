"""Hyperparameter studies: many short trainings of one experiment; the best becomes an experiment of its own."""

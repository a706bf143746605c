"""Whose an image is: which set, which model, which seed, and whether the model makes it again."""

"""Membership inference: scores of attacks, and how well they tell patients that a generator was trained on."""

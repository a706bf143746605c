"""The version of the training code, which names a run together with its experiment and training set.

Imports nothing: the pipeline reads it where torch may not be loaded.
"""

# Raise when the same experiment and images would give other weights: its runs are then trained anew.
VERSION = "3"

"""The version of how trials are run and scored, which names a study together with what it studies.

Imports nothing: the pipeline reads it where Optuna may not be loaded.
"""

# Raise when the same configuration would score otherwise: trials of both would not compare.
VERSION = "2"

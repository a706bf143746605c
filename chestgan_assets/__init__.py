"""Dagster only: what depends on what, when it runs, where it runs, and what people see of it.

The work is in chestgan_core. Nothing heavy (torch, torchvision, pydicom, scikit-image) is imported at module level:
every process that Dagster starts would pay for it.
"""

"""The optional dependency of studies. Imports nothing heavy: it is called where Optuna may be missing."""

import importlib.util

from chestgan_core.errors import NotAvailable


def require_optuna() -> None:
    """Call this before importing other modules of this package. Raises NotAvailable."""
    if importlib.util.find_spec("optuna") is None:
        raise NotAvailable(
            "hyperparameter studies",
            "Optuna is not installed",
            "install the extra: pip install 'chestgan[studies]'",
        )

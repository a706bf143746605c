"""What studies need besides chestgan itself. Imports nothing heavy: it is called where Optuna may be missing."""

import importlib.util

from chestgan_core.errors import NotAvailable


def require_optuna() -> None:
    """To be called before other modules of this folder are imported. Raises NotAvailable."""
    if importlib.util.find_spec("optuna") is None:
        raise NotAvailable(
            "hyperparameter studies",
            "Optuna is not installed",
            "install the extra: pip install 'chestgan[studies]'",
        )

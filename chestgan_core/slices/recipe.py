"""How slices are normalized, as a value: two shards of the same recipe version were made the same way."""

from dataclasses import asdict, dataclass

from chestgan_core.errors import BadInput
from chestgan_core.reasons import Synthetic
from chestgan_core.store.artefacts import content_version

# Changes whenever the code gives other slices or other rows for the same recipe.
VERSION = 6
# Measured in seven series of six patients and 80 single slices: a neck reaches 0.031, an abdomen 0.01 once its gas is
# subtracted; above 0.04 a lung base or apex is plainly visible, and so is the rest of a lung that is 85 % consolidated.
LUNG_FRACTION = 0.035


@dataclass(frozen=True)
class NormalizationRecipe:
    """size: rows and columns of the result. trim: fraction of the slices with lung left out at each end, [0,
    0.5). min_lung_fraction: area of lung, less that of gas, over the body's, from which a slice counts as chest where
    its neighbours do not decide it (lung_region.py); 0: every slice that shows a body. stack_rules: names the rules by
    which stacks of a series are left out (series_selection.py), empty without. synthetic: what is done with objects
    that are flagged synthetic (dicom/synthetic.py).
    """

    size: int = 64
    trim: float = 0.0
    min_lung_fraction: float = LUNG_FRACTION
    stack_rules: str = ""
    synthetic: Synthetic = "refuse"

    def __post_init__(self) -> None:
        """Raises BadInput naming the field."""
        self._require(8 <= self.size <= 1024, "size", "between 8 and 1024")
        self._require(0 <= self.trim < 0.5, "trim", "at least 0 and below 0.5")
        self._require(0 <= self.min_lung_fraction < 1, "min_lung_fraction", "at least 0 and below 1")

    @property
    def version(self) -> str:
        """16 hexadecimal digits that name this recipe and the code's version in keys."""
        return content_version({"version": VERSION, **asdict(self)})

    def _require(self, valid: bool, field: str, allowed: str) -> None:
        if not valid:
            given = getattr(self, field)
            raise BadInput(f"recipe: {field}", f"{given} is not allowed", f"use a value {allowed}")

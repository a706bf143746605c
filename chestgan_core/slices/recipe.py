"""How slices are normalized, as a value: two shards of the same recipe version were made the same way."""

from dataclasses import asdict, dataclass

from chestgan_core.errors import BadInput
from chestgan_core.store.artefacts import content_version

# Changes whenever the code gives other slices or other rows for the same recipe.
VERSION = 3
# Measured in five patients: a neck with its trachea reaches 0.031, an abdomen with bowel gas 0.015; from 0.06 on both
# lung bases or both apices are plainly visible.
LUNG_FRACTION = 0.06


@dataclass(frozen=True)
class NormalizationRecipe:
    """size: rows and columns of the result. trim: fraction of the slices with lung left out at each end, [0,
    0.5). min_lung_fraction: lung area / body area below which a slice shows no lung.
    """

    size: int = 64
    trim: float = 0.0
    min_lung_fraction: float = LUNG_FRACTION

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

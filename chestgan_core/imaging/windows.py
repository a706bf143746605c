"""Display windows: Hounsfield units, or the grey levels of pictures, to [-1, 1] for the networks, and back.

A window is a choice of training and display; shards keep what was measured. Imports nothing, because
experiments name windows where neither numpy nor torch may be loaded; arrays and tensors are told apart by
their methods.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

if TYPE_CHECKING:
    import numpy as np
    import torch


Unit: TypeAlias = Literal["HU", "grey"]


@dataclass(frozen=True)
class Window:
    """centre and width in HU, or in grey levels 0 to 255 of pictures. centre - width / 2 and below becomes -1
    (black), centre + width / 2 and above becomes 1.

    This is the exact linear function of DICOM PS3.3 C.11.2.1.3.2, because the common one is shifted by half
    a unit and has no inverse at the ends.
    """

    centre: float
    width: float
    unit: Unit = "HU"

    @property
    def ends(self) -> tuple[float, float]:
        """What becomes black and what becomes white."""
        return self.centre - self.width / 2, self.centre + self.width / 2

    def __str__(self) -> str:
        low, high = self.ends
        return f"{low:g} to {high:g} {'HU' if self.unit == 'HU' else 'grey levels'}"

    @overload
    def to_unit(self, values: "torch.Tensor") -> "torch.Tensor": ...
    @overload
    def to_unit(self, values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]": ...
    def to_unit(self, values: Any) -> Any:
        """Values of any shape and number type -> float32 in [-1, 1], array to array and tensor to tensor."""
        numbers = values.astype("float32") if hasattr(values, "astype") else values.float()
        return ((numbers - self.centre) * (2 / self.width)).clip(-1, 1)

    @overload
    def from_unit(self, unit: "torch.Tensor") -> "torch.Tensor": ...
    @overload
    def from_unit(self, unit: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]": ...
    def from_unit(self, unit: Any) -> Any:
        """The inverse: values in [-1, 1] (others are clamped) -> int16 in HU or grey levels, to the nearest."""
        numbers = (unit.clip(-1, 1) * (self.width / 2) + self.centre).round()
        return numbers.astype("int16") if hasattr(numbers, "astype") else numbers.short()


WINDOWS = {
    "lung": Window(-600, 1500),
    "wide": Window(-300, 1400),
    "grey": Window(127.5, 255, "grey"),
}

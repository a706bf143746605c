"""Display windows: Hounsfield units to [-1, 1] for the networks, and back.

A window is a choice of training and display; shards keep Hounsfield units. Imports nothing, because
experiments name windows where neither numpy nor torch may be loaded; arrays and tensors are told apart by
their methods.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    import numpy as np
    import torch


@dataclass(frozen=True)
class Window:
    """centre and width in HU. centre - width / 2 and below becomes -1 (black), centre + width / 2 becomes 1.

    This is the exact linear function of DICOM PS3.3 C.11.2.1.3.2, because the common one is shifted by half
    a unit and has no inverse at the ends.
    """

    centre: float
    width: float

    @overload
    def to_unit(self, hu: "torch.Tensor") -> "torch.Tensor": ...
    @overload
    def to_unit(self, hu: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]": ...
    def to_unit(self, hu: Any) -> Any:
        """HU, any shape and number type -> float32 in [-1, 1], array to array and tensor to tensor."""
        numbers = hu.astype("float32") if hasattr(hu, "astype") else hu.float()
        return ((numbers - self.centre) * (2 / self.width)).clip(-1, 1)

    @overload
    def to_hu(self, unit: "torch.Tensor") -> "torch.Tensor": ...
    @overload
    def to_hu(self, unit: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]": ...
    def to_hu(self, unit: Any) -> Any:
        """The inverse: values in [-1, 1] (others are clamped) -> int16 HU, rounded to the nearest."""
        numbers = (unit.clip(-1, 1) * (self.width / 2) + self.centre).round()
        return numbers.astype("int16") if hasattr(numbers, "astype") else numbers.short()


WINDOWS = {
    "lung": Window(-600, 1500),
    "wide": Window(-300, 1400),
}

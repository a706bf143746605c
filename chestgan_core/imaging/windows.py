"""Display windows: Hounsfield units, or grey levels, to [-1, 1] for the networks, and back.

A window is a choice of training and display; shards keep what was measured. Imports nothing, because experiments name
windows where neither numpy nor torch may be loaded; arrays and tensors are distinguished by their methods.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

if TYPE_CHECKING:
    import numpy as np
    import torch


Unit: TypeAlias = Literal["HU", "grey"]


@dataclass(frozen=True)
class Window:
    """A window: centre - width / 2 and below becomes -1 (black), centre + width / 2 and above becomes 1 (white).

    This is the function LINEAR_EXACT of DICOM PS3.3 C.11.2.1.3.2, because LINEAR is shifted by half a unit and has no
    inverse at the ends.

    Args:
        centre: In `unit`.
        width: In `unit`, above 0.
        unit: "HU" for CT; "grey" for images without Hounsfield units, with grey levels from 0 to 255.

    Examples:
        >>> import numpy as np
        >>> from chestgan_core.imaging.windows import WINDOWS
        >>> lung = WINDOWS["lung"]
        >>> str(lung)
        '-1350 to 150 HU'
        >>> unit = lung.to_unit(np.array([-2000, -1350, -600, 150, 700], np.int16))  # HU
        >>> unit.tolist()
        [-1.0, -1.0, 0.0, 1.0, 1.0]
        >>> lung.from_unit(unit).tolist()  # HU again, clamped to the window
        [-1350, -1350, -600, 150, 150]
    """

    centre: float
    width: float
    unit: Unit = "HU"

    @property
    def ends(self) -> tuple[float, float]:
        """The values that become black and white."""
        return self.centre - self.width / 2, self.centre + self.width / 2

    def __str__(self) -> str:
        low, high = self.ends
        return f"{low:g} to {high:g} {'HU' if self.unit == 'HU' else 'grey levels'}"

    @overload
    def to_unit(self, values: "torch.Tensor") -> "torch.Tensor": ...
    @overload
    def to_unit(self, values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]": ...
    def to_unit(self, values: Any) -> Any:
        """Values in HU or grey levels, of any shape and number type -> float32 in [-1, 1]; arrays and tensors."""
        numbers = values.astype("float32") if hasattr(values, "astype") else values.float()
        return ((numbers - self.centre) * (2 / self.width)).clip(-1, 1)

    @overload
    def from_unit(self, unit: "torch.Tensor") -> "torch.Tensor": ...
    @overload
    def from_unit(self, unit: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]": ...
    def from_unit(self, unit: Any) -> Any:
        """The inverse: values in [-1, 1] (others are clamped) -> int16 in HU or grey levels, rounded."""
        numbers = (unit.clip(-1, 1) * (self.width / 2) + self.centre).round()
        return numbers.astype("int16") if hasattr(numbers, "astype") else numbers.short()


WINDOWS = {
    "lung": Window(-600, 1500),
    "wide": Window(-300, 1400),
    "grey": Window(127.5, 255, "grey"),
}

"""What an hour of this machine costs, where somebody says so; nothing here invents a price.

In: $CHESTGAN_PRICE_GPU_HOUR, $CHESTGAN_PRICE_CPU_HOUR, $CHESTGAN_PRICE_CURRENCY. Out: Prices.
"""

import os
from dataclasses import dataclass

from chestgan_core.errors import BadInput
from chestgan_core.local.environment import number_from_environment

_GPU_PRICE, _CPU_PRICE = "CHESTGAN_PRICE_GPU_HOUR", "CHESTGAN_PRICE_CPU_HOUR"
_CURRENCY = "CHESTGAN_PRICE_CURRENCY"


@dataclass(frozen=True)
class Prices:
    """Per hour of one GPU, of one CPU core, of a whole machine. currency: as configured, "" where no price is set."""

    gpu_hour: float = 0.0
    cpu_hour: float = 0.0
    currency: str = ""
    machine_hour: float = 0.0

    @classmethod
    def from_environment(cls) -> "Prices":
        """Raises BadInput: a price that is not a number, or no currency."""
        gpu_hour, cpu_hour = number_from_environment(_GPU_PRICE, 0), number_from_environment(_CPU_PRICE, 0)
        currency = os.environ.get(_CURRENCY, "").strip()
        if gpu_hour is None and cpu_hour is None:
            return cls()
        if not currency:
            raise BadInput(_CURRENCY, "is not set, but a price is", "set it, for example to EUR")
        return cls(gpu_hour or 0.0, cpu_hour or 0.0, currency)

    def of(self, gpu_hours: float, cpu_hours: float, hours: float = 0.0) -> float | None:
        """What so many hours cost; None where no price is set. hours: of the machine."""
        if not self.currency:
            return None
        return gpu_hours * self.gpu_hour + cpu_hours * self.cpu_hour + hours * self.machine_hour

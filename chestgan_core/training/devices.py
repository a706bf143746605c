"""Where to compute: a name that a person gives to a torch device that is there."""

from collections.abc import Callable

import torch

from chestgan_core.errors import NotAvailable

# Fastest first: "auto" takes the first that is there.
PRESENT: dict[str, Callable[[], bool]] = {
    "cuda": torch.cuda.is_available,
    "mps": torch.backends.mps.is_available,
    "cpu": lambda: True,
}


def pick_device(name: str = "auto") -> torch.device:
    """auto: CUDA, else MPS, else CPU. Raises NotAvailable for a device that is absent or unknown."""
    there = [device for device, is_there in PRESENT.items() if is_there()]
    if name == "auto":
        return torch.device(there[0])
    if name not in there:
        cause = (
            "is not on this machine, or PyTorch cannot use it" if name in PRESENT else "is not a known device"
        )
        raise NotAvailable(f"device {name}", cause, f"choose auto or one of {', '.join(there)}")
    return torch.device(name)

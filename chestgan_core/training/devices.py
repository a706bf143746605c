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

# What a processor says that it has when it multiplies bfloat16 itself; others convert, and are slower then.
# ARM's `bf16` was not measured.
BFLOAT16 = ("avx512_bf16", "amx_bf16")


def computes_bfloat16(device: torch.device) -> bool:
    """Whether 16 bits (8 of them exponent, as 32 bits have) are faster there than 32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return device.type == "cpu" and any(capabilities.get(name) is True for name in BFLOAT16)


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

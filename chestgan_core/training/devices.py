"""Where to compute: from a name that a person gives to a torch device that is available."""

import platform
from collections.abc import Callable

import torch

from chestgan_core.errors import NotAvailable, UnknownName, nearest

# Fastest first: "auto" takes the first that is available.
DEVICES: dict[str, Callable[[], bool]] = {
    "cuda": torch.cuda.is_available,
    "mps": torch.backends.mps.is_available,
    "cpu": lambda: True,
}

# Capabilities of a CPU that multiplies bfloat16 itself; others convert, which is slower. ARM's `bf16` was not measured.
BFLOAT16 = ("avx512_bf16", "amx_bf16")


def computes_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 (the exponent of float32, in 16 bits) is faster there than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return device.type == "cpu" and any(capabilities.get(name) is True for name in BFLOAT16)


def kind_of_device(device: torch.device) -> str:
    """What the last bits of a convolution depend on: `cpu x86_64 AVX512`, `cuda NVIDIA H200`, and PyTorch's version."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    elif device.type == "cpu":
        name = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    else:
        name = platform.machine()
    return f"{device.type} {name}, PyTorch {torch.__version__}"


def pick_device(name: str = "auto") -> torch.device:
    """auto: CUDA, else MPS, else CPU. Raises UnknownName, NotAvailable (this machine does not have the device)."""
    if name not in ("auto", *DEVICES):
        raise UnknownName(f"device {name}", "is not known", nearest(name, ("auto", *DEVICES)))
    available = [device for device, is_available in DEVICES.items() if is_available()]
    if name == "auto":
        return torch.device(available[0])
    if name not in available:
        cause = "is not on this machine, or PyTorch cannot use it"
        raise NotAvailable(f"device {name}", cause, f"choose auto or one of {', '.join(available)}")
    return torch.device(name)

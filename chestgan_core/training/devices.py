"""Where to compute: from a name that a person gives to a torch device that is available, and what differs by its kind.

XPU is Intel's GPUs, with PyTorch's build for them (docs/train.md). Its code has run on none so far.
"""

import gc
import platform
from collections.abc import Callable
from typing import Any

import torch

from chestgan_core.errors import NotAvailable, UnknownName, nearest

# Fastest first: "auto" takes the first that is available.
DEVICES: dict[str, Callable[[], bool]] = {
    "cuda": torch.cuda.is_available,
    "xpu": torch.xpu.is_available,
    "mps": torch.backends.mps.is_available,
    "cpu": lambda: True,
}
# GPUs that have numbers, of which a machine may have several.
GPUS = ("cuda", "xpu")

# Capabilities of a CPU that multiplies bfloat16 itself; others convert, which is slower. ARM's `bf16` was not measured.
BFLOAT16 = ("avx512_bf16", "amx_bf16")
# CUDA and XPU raise torch.OutOfMemoryError. MPS, Intel's driver and the allocator of the CPU only have words for it.
_FULL = (
    "out of memory",
    "OUT_OF_DEVICE_MEMORY",
    "OUT_OF_HOST_MEMORY",
    "OUT_OF_RESOURCES",
    "can't allocate memory",
    "not enough memory",
)


def computes_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 (the exponent of float32, in 16 bits) is faster there than float32."""
    if device.type in GPUS:
        return bool(_module(device).is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return device.type == "cpu" and any(capabilities.get(name) is True for name in BFLOAT16)


def kind_of_device(device: torch.device) -> str:
    """What the last bits of a convolution depend on: `cpu x86_64 AVX512`, `cuda NVIDIA H200`, and PyTorch's version."""
    if device.type in GPUS:
        name = gpu_name(device)
    elif device.type == "cpu":
        name = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    else:
        name = platform.machine()
    return f"{device.type} {name}, PyTorch {torch.__version__}"


def gpu_name(device: torch.device) -> str:
    """As its maker calls it. device: one of GPUS."""
    return str(_module(device).get_device_name(device))


def gpu_count(device: torch.device) -> int:
    """How many of this kind the machine has, or lets us see; 0 of devices that have no number."""
    return int(_module(device).device_count()) if device.type in GPUS else 0


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the memory of a device, or of this machine, was too small."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _FULL)


def free_memory(device: torch.device) -> int | None:
    """Bytes of a GPU's own memory that nobody uses; None of devices that use main memory, or do not say it."""
    if device.type not in GPUS:
        return None
    return int(_module(device).mem_get_info(device)[0])


def free_unused(device: torch.device) -> None:
    """Give back what the allocator of a device keeps for later."""
    gc.collect()
    if device.type == "mps":
        torch.mps.empty_cache()
    elif device.type in GPUS:
        _module(device).empty_cache()


def pick_device(name: str = "auto") -> torch.device:
    """auto: CUDA, else XPU, else MPS, else CPU. Raises UnknownName, NotAvailable (this machine does not have the
    device).
    """
    if name not in ("auto", *DEVICES):
        raise UnknownName(f"device {name}", "is not known", nearest(name, ("auto", *DEVICES)))
    available = [device for device, is_available in DEVICES.items() if is_available()]
    if name == "auto":
        return torch.device(available[0])
    if name not in available:
        cause = "is not on this machine, or PyTorch cannot use it"
        remedy = f"choose auto or one of {', '.join(available)}"
        if name == "xpu" and "+xpu" not in torch.__version__:
            cause = f"needs PyTorch's build for Intel GPUs, and {torch.__version__} is another"
            remedy += ", or install that build (docs/train.md)"
        raise NotAvailable(f"device {name}", cause, remedy)
    return torch.device(name)


def _module(device: torch.device) -> Any:
    """torch.cuda or torch.xpu, whose functions have the same names."""
    return {"cuda": torch.cuda, "xpu": torch.xpu}[device.type]

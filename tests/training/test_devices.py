"""Devices: which is picked, what an error says of one that is not here, and what GPUs of both makers have in common.

No GPU is needed: where one is, it is pretended to be there. What computes on Intel's has run on none.
"""

from types import SimpleNamespace

import pytest
import torch

from chestgan_core.cli.parser import DEVICES as NAMES
from chestgan_core.config.experiment import parse_experiment
from chestgan_core.errors import NotAvailable
from chestgan_core.training import devices
from chestgan_core.training.devices import (
    DEVICES,
    GPUS,
    computes_bfloat16,
    gpu_count,
    gpu_name,
    is_out_of_memory,
    kind_of_device,
    pick_device,
)
from chestgan_core.training.distributed import World
from chestgan_core.training.gpu_workers import process_count


def present(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """These devices are there, beside the CPU."""
    for name in DEVICES:
        monkeypatch.setitem(DEVICES, name, lambda name=name: name in ("cpu", *names))


def pretended(monkeypatch: pytest.MonkeyPatch, count: int, bfloat16: bool = True) -> None:
    """Intel GPUs, as torch.xpu describes them."""
    module = SimpleNamespace(
        is_bf16_supported=lambda including_emulation: bfloat16 and not including_emulation,
        get_device_name=lambda device: "Pretended Arc",
        device_count=lambda: count,
        empty_cache=lambda: None,
    )
    monkeypatch.setattr(torch, "xpu", module)


def test_the_command_line_knows_every_device() -> None:
    assert set(NAMES) == {"auto", *DEVICES}


@pytest.mark.parametrize(
    ("there", "expected"),
    [((), "cpu"), (("xpu",), "xpu"), (("mps",), "mps"), (("cuda", "xpu"), "cuda"), (("xpu", "mps"), "xpu")],
)
def test_auto_takes_the_fastest(
    there: tuple[str, ...], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    present(monkeypatch, *there)
    assert pick_device("auto").type == expected
    assert all(pick_device(name).type == name for name in there)


def test_an_intel_gpu_needs_another_build_of_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    present(monkeypatch)
    monkeypatch.setattr(torch, "__version__", "2.14.1+cu130")
    with pytest.raises(
        NotAvailable, match=r"build for Intel GPUs, and 2\.14\.1\+cu130 is another.*train\.md"
    ):
        pick_device("xpu")
    monkeypatch.setattr(torch, "__version__", "2.14.1+xpu")
    with pytest.raises(NotAvailable, match="not on this machine"):
        pick_device("xpu")


def test_what_is_asked_of_a_gpu_is_asked_of_its_own_maker(monkeypatch: pytest.MonkeyPatch) -> None:
    pretended(monkeypatch, count=3)
    device = torch.device("xpu")
    assert (gpu_name(device), gpu_count(device)) == ("Pretended Arc", 3)
    assert computes_bfloat16(device)
    assert kind_of_device(device) == f"xpu Pretended Arc, PyTorch {torch.__version__}"
    devices.free_unused(device)
    pretended(monkeypatch, count=1, bfloat16=False)
    assert not computes_bfloat16(device)
    assert gpu_count(torch.device("mps")) == gpu_count(torch.device("cpu")) == 0


@pytest.mark.parametrize(("library", "expected"), [(True, 2), (False, 1)])
def test_a_training_is_divided_among_intel_gpus_only_where_they_can_talk(
    library: bool, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretended(monkeypatch, count=2)
    monkeypatch.setattr("torch.distributed.is_xccl_available", lambda: library)
    fields = {"dataset": "phantom", "training": {"images": 1}, "compute": {"gpus": 4}}
    experiment = parse_experiment(fields, "small", "test")
    assert process_count(experiment, torch.device("xpu")) == expected
    assert process_count(experiment, torch.device("cpu")) == 1


def test_each_process_has_the_gpu_of_its_number() -> None:
    world = World(size=2, rank=1, local_rank=1)
    for kind in GPUS:
        assert world.local_device(torch.device(kind)) == torch.device(kind, 1)
    assert world.local_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (
            RuntimeError("level_zero backend failed with error: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)"),
            True,
        ),
        (MemoryError(), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_every_kind_of_full_memory_is_recognized(error: BaseException, full: bool) -> None:
    assert is_out_of_memory(error) == full


def test_the_words_of_the_allocator_of_this_machine_are_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    assert is_out_of_memory(caught.value)

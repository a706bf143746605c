"""The bench for GPUs, where there is none: its command on a CPU, its loops, and what its tables say of parts that
failed.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from bench.gpu import ROOT, SHARES, Part
from bench.gpu_loops import _tutorial_discriminator, _tutorial_generator, thesis_loop, tutorial_loop
from bench.gpu_parts import BATCHES, TINY, WAYS, _experiment
from bench.gpu_steps import Contender, measure, set_precision
from bench.gpu_tables import report
from chestgan_core.config.experiment import load_experiment

CPU = torch.device("cpu")


@pytest.mark.slow
def test_the_command_runs_on_a_cpu_and_prints_all_tables(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "bench.gpu",
        "--device",
        "cpu",
        "--minutes",
        "60",
        "--out",
        f"{tmp_path}",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-3000:]
    for expected in (
        "| 32 | loop of the thesis system", "| 32 | loop of DCGAN tutorials", "| 32 | spectral", "| 32 | projected",
        "| lung-r3-32 |", "| lung-projected-32 |", "- Two trainings", "- compile: needs a GPU.",
    ):  # fmt: skip
        assert expected in ran.stdout
    assert (
        ran.stdout.count("the same bits") == 4
    )  # resumed, two families, with and without deterministic algorithms
    assert (tmp_path / "lung-r3-128" / "sheet.png").is_file()


def test_what_is_printed_names_the_parts_that_were_not_reached_or_failed() -> None:
    row = {"size": 64, "name": "ours", "batch": 128, "failure": "", "rate": 2000.0, "low": 1900.0, "high": 2100.0,
           "n": 9, "share": 0.123, "peak_bytes": 3 * 2**29, "warm_up_s": 4.2}  # fmt: skip
    failed = {"size": 64, "name": "graph", "batch": 128, "failure": "failed: no such kernel"}
    parts = [
        Part("speed", [{"matrix_rate": 7e14, "device": "cuda X"}, {"row": row}, {"row": failed}]),
        Part("resume", end="ended after 30 s, its time was over"),
    ]
    printed = report(parts, "cuda", 61.0)
    assert printed.startswith(
        "cuda X; 1.0 minutes in all.\nRate of a large bfloat16 product, before each size: 700.0"
    )
    assert "| 64 | ours | 128 | 2,000 | 1,900 to 2,100 | 9 | 12.3% | 1.50 GiB | 4.2 s |" in printed
    assert "| 64 | graph | 128 | failed: no such kernel |" in printed
    assert printed.endswith("- resume: ended after 30 s, its time was over.")


def test_the_parts_take_no_more_than_the_whole_time() -> None:
    assert sum(SHARES.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("size", [32, 64, 128, 256])
def test_networks_of_the_tutorial_have_every_resolution(size: int) -> None:
    images = _tutorial_generator(2, size)(torch.randn(2, 100, 1, 1))
    assert images.shape == (2, 1, size, size)
    assert _tutorial_discriminator(2, size)(images).shape == (2, 1, 1, 1)


@pytest.mark.parametrize("size", [32, 256])
def test_the_loops_of_others_train(size: int) -> None:
    images = torch.rand(8, 1, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    thesis_loop(images, 4, CPU, TINY)(2)
    tutorial_loop(images, 4, CPU, 2, workers=0)(2)


def test_a_contender_that_fails_is_a_row_with_its_reason() -> None:
    def fails() -> object:
        raise RuntimeError("no kernel image is available\nand a long trace")

    calls: list[int] = []
    good, bad = Contender("good", 4, lambda: calls.append), Contender("bad", 4, fails)  # type: ignore[arg-type]
    measure([good, bad], CPU, 0.0, 0.0, 3)  # the time is over before it begins
    assert good.row(64, 1e12)["failure"] == "not reached, the time was over"
    measure([good, bad], CPU, time.monotonic() + 60, 0.0, 3)
    assert good.row(64, 1e12)["rate"] > 0
    assert bad.row(64, 1e12)["failure"] == "failed: no kernel image is available"


def test_both_interfaces_of_float32_precision_say_the_same() -> None:
    """Where they contradict each other PyTorch raises, in torch.compile for one."""
    try:
        for precision, expected in (("ieee", (False, False)), ("tf32", (True, True)), ("", (True, False))):
            set_precision(precision)
            found = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
            assert found == expected
            assert (torch.backends.cuda.matmul.fp32_precision == "tf32") == expected[1]
            convolutions = torch.backends.cudnn.conv.fp32_precision  # type: ignore[attr-defined]
            assert (convolutions == "tf32") == expected[0]
    finally:
        set_precision("")


@pytest.mark.parametrize("size", [64, 128, 256])
def test_what_is_measured_is_the_shipped_experiment_of_that_size(size: int) -> None:
    for family in WAYS[size]:
        found = _experiment(family, size)
        assert (found.network.family, found.resolution) == (family, size)
    assert _experiment("r3", 128).network == load_experiment("lung-r3-128").network
    assert set(WAYS) == set(BATCHES)

"""Training and its resumption: the same end, to the bit, however often it was interrupted."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadCheckpoint, BadInput
from chestgan_core.training.checkpoint import CHECKPOINT_FILE
from chestgan_core.training.generation import generate
from chestgan_core.training.loop import TrainingCallbacks, TrainingDiverged, TrainingOutcome, train
from chestgan_core.training.run_manifest import GENERATOR_FILE
from chestgan_core.training.schedule import Budget
from chestgan_core.training.weights import load_generator
from tests.training.conftest import slices_of

CPU = torch.device("cpu")
CLOCK = ("seconds", "images_per_second")


def run(
    experiment: Experiment, images: torch.Tensor, out: Path, count: int = 40, **more: Any
) -> TrainingOutcome:
    return train(experiment, slices_of(images), out, CPU, Budget(None, count), **more)


def history(out: Path) -> list[dict[str, float]]:
    """Rows without what depends on the clock."""
    rows = pq.read_table(out / "history.parquet").to_pylist()
    return [{name: value for name, value in row.items() if name not in CLOCK} for row in rows]


def weights(out: Path) -> dict[str, Any]:
    return {k: v for k, v in torch.load(out / CHECKPOINT_FILE, weights_only=True).items() if k != "seconds"}


def assert_same(one: Any, other: Any) -> None:
    """Equal to the bit, through nested dictionaries and lists."""
    assert type(one) is type(other)
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one.keys() - set(CLOCK):
            assert_same(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_same(*pair)
    else:
        assert one == other


def test_a_training_writes_everything_that_is_needed(
    experiment: Experiment, images: torch.Tensor, tmp_path: Path
) -> None:
    outcome = run(experiment, images, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "config.json",
        "discriminator.safetensors",
        "generator.safetensors",
        "curves.png",
        "history.parquet",
        "validation.parquet",
        "progress.gif",
        "progress.png",
        "samples.png",
        "checkpoint.pt",
    }
    assert outcome.images_seen == 40
    assert outcome.sha256 == load_generator(tmp_path).sha256
    rows = pq.read_table(tmp_path / "history.parquet").to_pylist()
    assert [row["images_seen"] for row in rows] == [12, 24, 36, 40]
    assert set(rows[0]) == {
        "images_seen", "loss_d", "loss_g", "penalty", "d_real", "d_fake", "spread", *CLOCK,
    }  # fmt: skip
    assert Image.open(tmp_path / "samples.png").size == (8 * 18 - 2, 8 * 18 - 2)
    assert Image.open(tmp_path / "progress.png").size == (8 * 18 - 2, 4 * 18 - 2)


def test_instance_noise_changes_what_is_learned_and_resumes_exactly(
    changed: Callable[..., Experiment], images: torch.Tensor, tmp_path: Path
) -> None:
    noisy = changed(instance_noise=0.2, instance_noise_half_life=20)
    whole = run(noisy, images, tmp_path / "whole")
    assert whole.sha256 != run(changed(), images, tmp_path / "plain").sha256
    run(noisy, images, tmp_path / "parts", 20)
    assert run(noisy, images, tmp_path / "parts").sha256 == whole.sha256


def test_a_seed_decides_the_outcome(experiment: Experiment, images: torch.Tensor, tmp_path: Path) -> None:
    first = run(experiment, images, tmp_path / "a")
    assert run(experiment, images, tmp_path / "b").sha256 == first.sha256
    other = experiment.model_copy(update={"seed": 1})
    assert run(other, images, tmp_path / "c").sha256 != first.sha256


@pytest.mark.parametrize("breaks", [(4, 20), (12,), (16, 28)])
def test_interrupted_and_resumed_is_the_same_as_uninterrupted(
    experiment: Experiment, images: torch.Tensor, tmp_path: Path, breaks: tuple[int, ...]
) -> None:
    whole = run(experiment, images, tmp_path / "whole")
    for stop in breaks:
        run(experiment, images, tmp_path / "parts", stop)
    parts = run(experiment, images, tmp_path / "parts")
    assert parts.resumed_at == breaks[-1]
    assert parts.sha256 == whole.sha256
    assert history(tmp_path / "parts") == history(tmp_path / "whole")
    assert_same(weights(tmp_path / "parts"), weights(tmp_path / "whole"))
    for name in ("samples.png", "progress.png", "progress.gif"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_the_samples_are_what_the_same_seeds_give_later(
    experiment: Experiment, images: torch.Tensor, tmp_path: Path
) -> None:
    run(experiment, images, tmp_path)
    grey = torch.tensor(list(Image.open(tmp_path / "samples.png").crop((18, 0, 34, 16)).tobytes()))
    image = generate(load_generator(tmp_path), [1])[0].flatten()
    assert ((image + 1) * 127.5 - grey).abs().max() <= 0.5001


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_writes_a_checkpoint_and_is_passed_on(
    changed: Callable[..., Experiment], images: torch.Tensor, tmp_path: Path, number: signal.Signals
) -> None:
    class Stopped(Exception):
        pass

    def stop(*_: object) -> None:
        raise Stopped

    # The signal comes with the first checkpoint, after 16 images; the training ends after its step.
    before = signal.signal(number, stop)
    try:
        with pytest.raises(Stopped):
            run(
                changed(),
                images,
                tmp_path,
                callbacks=TrainingCallbacks(on_checkpoint=lambda path: signal.raise_signal(number)),
            )
        assert signal.getsignal(number) is stop
    finally:
        signal.signal(number, before)
    assert {path.name for path in tmp_path.iterdir()} == {CHECKPOINT_FILE}
    assert run(changed(), images, tmp_path).resumed_at == 16


def test_minutes_count_the_seconds_of_earlier_attempts(
    experiment: Experiment, images: torch.Tensor, tmp_path: Path
) -> None:
    first = run(experiment, images, tmp_path)
    again = train(experiment, slices_of(images), tmp_path, CPU, Budget(first.seconds / 61, None))
    assert (again.images_seen, again.sha256) == (first.images_seen, first.sha256)
    more = train(experiment, slices_of(images), tmp_path, CPU, Budget((first.seconds + 0.3) / 60, None))
    assert 0.3 <= more.seconds - first.seconds < 10  # a step may be slow on a busy machine
    assert more.images_seen > first.images_seen


def test_a_training_without_a_budget_is_refused() -> None:
    with pytest.raises(BadInput, match="never end"):
        Budget(None, None)


def test_a_checkpoint_of_another_experiment_or_of_other_images_is_refused_and_named(
    changed: Callable[..., Experiment], images: torch.Tensor, tmp_path: Path
) -> None:
    run(changed(), images, tmp_path, 8)
    with pytest.raises(BadCheckpoint, match=r"training\.batch_size 4 instead of 8; give another folder"):
        run(changed(batch_size=8), images, tmp_path)
    with pytest.raises(BadCheckpoint, match="other training images"):
        run(changed(), images.flip(0), tmp_path)
    # When to stop and what to record may change.
    assert run(changed(images=99, sample_every_images=7), images, tmp_path).resumed_at == 8


@pytest.mark.parametrize("how", ["cut short", "empty", "another file"])
def test_a_damaged_checkpoint_is_refused_in_one_line(
    experiment: Experiment, images: torch.Tensor, tmp_path: Path, how: str
) -> None:
    path = tmp_path / CHECKPOINT_FILE
    run(experiment, images, tmp_path, 8)
    if how == "another file":
        torch.save({"weights": torch.zeros(2)}, path)
    else:
        path.write_bytes(b"" if how == "empty" else path.read_bytes()[:1000])
    with pytest.raises(BadCheckpoint, match=r"checkpoint\.pt: is .*delete it") as refused:
        run(experiment, images, tmp_path)
    assert "\n" not in str(refused.value)


def test_a_loss_that_is_nan_stops_a_training_and_is_never_kept(
    experiment: Experiment, images: torch.Tensor, tmp_path: Path
) -> None:
    images[3] = torch.nan  # drawn after the first checkpoint
    with pytest.raises(
        TrainingDiverged, match=r"is NaN or infinite after .*checkpoint\.pt holds the state before"
    ):
        run(experiment, images, tmp_path)
    kept = weights(tmp_path)
    assert kept["images_seen"] == 16
    assert all(tensor.isfinite().all() for tensor in kept["generator"].values())
    assert {path.name for path in tmp_path.iterdir()} == {CHECKPOINT_FILE}
    images[:] = torch.nan
    with pytest.raises(TrainingDiverged, match="there is no earlier checkpoint"):
        run(experiment, images, tmp_path / "at once")


def test_the_progress_sheet_stays_of_one_size(
    changed: Callable[..., Experiment], images: torch.Tensor, tmp_path: Path
) -> None:
    run(changed(sample_every_images=4, ema_images=0), images, tmp_path, 4 * 35)
    samples = torch.load(tmp_path / CHECKPOINT_FILE, weights_only=True)["samples"]
    assert list(samples) == list(range(4, 36, 4))
    assert len(history(tmp_path)) == 35


TRAINING = """
import sys, torch
from pathlib import Path
from chestgan_core.config.experiment import load_experiment
from chestgan_core.training.data import LoadedSlices
from chestgan_core.training.loop import train
from chestgan_core.training.schedule import Budget
torch.set_num_threads(1)
out = Path(sys.argv[1])
images = torch.load(out / "images.pt", weights_only=True)
experiment, budget = load_experiment(out / "small.yaml"), Budget(None, int(sys.argv[2]))
slices = LoadedSlices(images, None, ("P",) * len(images))
train(experiment, slices, out / "run", torch.device("cpu"), budget)
"""


def test_a_killed_training_resumes_from_its_last_checkpoint(
    changed: Callable[..., Experiment], images: torch.Tensor, tmp_path: Path
) -> None:
    experiment = changed(images=100_000, checkpoint_every_images=40, sample_every_images=100)
    (tmp_path / "small.yaml").write_text(experiment.model_dump_json())
    torch.save(images, tmp_path / "images.pt")
    command = [sys.executable, "-c", TRAINING, str(tmp_path)]
    child = subprocess.Popen(
        [*command, "100000"], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    checkpoint = tmp_path / "run" / CHECKPOINT_FILE
    try:
        started = time.monotonic()
        while not checkpoint.is_file() and time.monotonic() - started < 60:
            time.sleep(0.05)
        time.sleep(0.3)
    finally:
        child.kill()
        child.wait()
    seen = torch.load(checkpoint, weights_only=True)["images_seen"]
    assert seen % 40 == 0
    assert not (tmp_path / "run" / GENERATOR_FILE).exists()
    resumed = run(experiment, images, tmp_path / "run", seen + 40)
    assert resumed.resumed_at == seen
    assert resumed.sha256 == run(experiment, images, tmp_path / "whole", seen + 40).sha256

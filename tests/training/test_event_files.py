"""Event files of a training, read back with TensorBoard's own reader; and the curve of one that runs."""

import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import NotAvailable
from chestgan_core.training.checkpoint import CHECKPOINT_FILE
from chestgan_core.training.curves import LIVE_POINTS, live_curves_png, thinned_rows
from chestgan_core.training.event_files import KID, MAX_SAMPLES, SAMPLES, SCALARS, EventFiles
from chestgan_core.training.loop import TrainingOutcome, TrainingStart, train
from chestgan_core.training.schedule import Budget
from tests.training.conftest import slices_of

CPU = torch.device("cpu")


@pytest.fixture
def validated(changed: Callable[..., Experiment]) -> Experiment:
    return changed(validation={"every_images": 16, "images": 8})


def run(experiment: Experiment, images: torch.Tensor, out: Path, events: Path, count: int) -> TrainingOutcome:
    events.mkdir(exist_ok=True)
    with EventFiles(events) as files:
        return train(
            experiment, slices_of(images), out, CPU, Budget(None, count), lambda made: float(made.var()),
            files.callbacks,
        )  # fmt: skip


def read(folder: Path) -> EventAccumulator:
    reader = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0})
    return reader.Reload()


def points(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in read(folder).Scalars(tag)]


def test_the_scalars_are_those_of_history_and_validations(
    validated: Experiment, images: torch.Tensor, tmp_path: Path
) -> None:
    run(validated, images, tmp_path / "model", tmp_path / "events", 48)
    rows = pq.read_table(tmp_path / "model" / "history.parquet").to_pylist()
    assert [row["images_seen"] for row in rows] == [12, 24, 36, 48]
    for column, tag in SCALARS.items():
        found = points(tmp_path / "events", tag)
        assert [step for step, _ in found] == [12, 24, 36, 48]
        assert [value for _, value in found] == pytest.approx([row[column] for row in rows], rel=1e-5)
    kids = pq.read_table(tmp_path / "model" / "validation.parquet").to_pylist()
    assert [step for step, _ in points(tmp_path / "events", KID)] == [16, 32, 48]
    assert [value for _, value in points(tmp_path / "events", KID)] == pytest.approx(
        [1000 * row["kid"] for row in kids], rel=1e-5
    )


def test_the_samples_are_the_first_sixteen_seeds(
    validated: Experiment, images: torch.Tensor, tmp_path: Path
) -> None:
    run(validated, images, tmp_path / "model", tmp_path / "events", 24)
    shown = read(tmp_path / "events").Images(SAMPLES)
    assert [one.step for one in shown] == [12, 24]
    last = np.asarray(Image.open(BytesIO(shown[-1].encoded_image_string)).convert("L"))
    assert last.shape == (2 * 18 - 2, 8 * 18 - 2)
    of_run = np.asarray(Image.open(tmp_path / "model" / "progress.png").convert("L"))
    # Seeds 0 to 7 of the last row, which the run keeps in half precision.
    assert np.abs(last[:16].astype(int) - of_run[-16:]).max() <= 1


def test_a_training_that_is_resumed_has_each_point_once(
    validated: Experiment, images: torch.Tensor, tmp_path: Path
) -> None:
    """Killed after the checkpoint: what was written since is written again, by other losses."""
    out, events = tmp_path / "model", tmp_path / "events"
    run(validated, images, out, events, 16)
    early = (out / CHECKPOINT_FILE).read_bytes()
    run(validated, images, out, events, 32)
    lost = dict(points(events, "images_per_second"))
    (out / CHECKPOINT_FILE).write_bytes(early)
    outcome = run(validated, images, out, events, 48)
    assert outcome.resumed_at == 16
    for tag in (*SCALARS.values(), KID):
        steps = [step for step, _ in points(events, tag)]
        assert steps == ([16, 32, 48] if tag == KID else [12, 24, 36, 48])
    again = dict(points(events, "images_per_second"))
    assert again[12] == lost[12]
    assert again[24] != lost[24]
    assert [one.step for one in read(events).Images(SAMPLES)] == [12, 24, 36, 48]


def test_a_new_folder_gets_the_curves_of_earlier_attempts(
    validated: Experiment, images: torch.Tensor, tmp_path: Path
) -> None:
    run(validated, images, tmp_path / "model", tmp_path / "events", 32)
    run(validated, images, tmp_path / "model", tmp_path / "elsewhere", 48)
    for tag in ("loss/generator", KID):
        before, now = points(tmp_path / "events", tag), points(tmp_path / "elsewhere", tag)
        assert now[: len(before)] == before
        assert len(now) == len(before) + (2 if tag == "loss/generator" else 1)


def test_every_row_is_on_the_disk_before_the_next_step(
    validated: Experiment, images: torch.Tensor, tmp_path: Path
) -> None:
    """SIGTERM may end the process without closing the file."""
    seen = []

    with EventFiles(tmp_path) as files:

        def then_read(row: dict[str, float | None], made: torch.Tensor) -> None:
            files.callbacks.on_row(row, made)
            seen.append([step for step, _ in points(tmp_path, "loss/generator")])

        both = replace(files.callbacks, on_row=then_read)
        train(validated, slices_of(images), tmp_path / "model", CPU, Budget(None, 24), callbacks=both)
    assert seen == [[12], [12, 24]]


def test_the_file_is_closed_when_a_training_is_interrupted(
    validated: Experiment, images: torch.Tensor, tmp_path: Path
) -> None:
    def interrupt(path: Path) -> None:
        raise KeyboardInterrupt

    def interrupted() -> None:
        with EventFiles(tmp_path) as files:
            both = replace(files.callbacks, on_checkpoint=interrupt)
            train(validated, slices_of(images), tmp_path / "model", CPU, Budget(None, 24), callbacks=both)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [thread.name for thread in threading.enumerate() if "Event" in type(thread).__name__] == []
    assert [step for step, _ in points(tmp_path, "loss/generator")] == [12]


def test_without_the_extra_the_remedy_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(NotAvailable, match=r"pip install 'chestgan\[tensorboard\]'"):
        EventFiles(tmp_path)


def test_samples_of_a_long_training_stay_few(tmp_path: Path) -> None:
    rows = 400
    row: dict[str, float | None] = dict.fromkeys(SCALARS, 0.5)
    with EventFiles(tmp_path) as files:
        files.callbacks.on_start(TrainingStart(0, (), ()))
        for number in range(1, rows + 1):
            files.callbacks.on_row(row | {"images_seen": float(number)}, torch.zeros(16, 1, 8, 8))
    shown = [one.step for one in read(tmp_path).Images(SAMPLES)]
    assert len(shown) <= 3 * MAX_SAMPLES
    assert len(points(tmp_path, "loss/generator")) == rows


@pytest.mark.parametrize("count", [1, 2, 5000])
def test_the_curve_of_a_running_training_stays_small(count: int) -> None:
    """As its observation stays in the event log for ever."""
    random = np.random.default_rng(0)
    rows = [
        {"images_seen": 4000.0 * number, "loss_d": x, "loss_g": y, "d_real": x, "d_fake": -y}
        for number, (x, y) in enumerate(random.standard_normal((count, 2)).tolist(), 1)
    ]
    validations = [{"images_seen": row["images_seen"], "kid": 0.1} for row in rows[::10]]
    for given in ([], validations):
        png = live_curves_png(rows, given, as_probability=False)
        assert len(png) < 30_000
        assert Image.open(BytesIO(png)).width <= 800


def test_a_long_history_is_thinned_to_its_last_row() -> None:
    rows = [{"images_seen": float(number)} for number in range(1000)]
    kept = thinned_rows(rows)
    assert len(kept) <= LIVE_POINTS
    assert kept[-1] == rows[-1]
    assert thinned_rows(rows[:LIVE_POINTS]) == rows[:LIVE_POINTS]
    assert thinned_rows([]) == []

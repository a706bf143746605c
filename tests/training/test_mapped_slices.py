"""Slices that stay in a file: the same batches and the same weights as from memory, and a file that is whole or made
again.
"""

import gc
import logging
import multiprocessing
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput, DiskFull
from chestgan_core.slices.marks import SliceMarks
from chestgan_core.slices.shards import Shard, SliceRow, write_shard
from chestgan_core.slices.tumour_boxes import SliceBox
from chestgan_core.training import slice_memory
from chestgan_core.training.checkpoint import data_fingerprint
from chestgan_core.training.data import LoadedSlices, load_held_out, load_slices, load_training_slices
from chestgan_core.training.gpu_workers import start_gpu_workers
from chestgan_core.training.layouts import layouts_of
from chestgan_core.training.loop import train
from chestgan_core.training.mapped_images import Images, MappedImages, spread_of
from chestgan_core.training.schedule import Budget
from chestgan_core.training.slice_memory import choose_memory
from chestgan_core.training.slice_table import read_table
from chestgan_core.training.validation import Validator
from tests.training.conftest import conditional, small

CPU = torch.device("cpu")
AUGMENTED = {
    "augmentation": {"cutout": 0.25},
    "instance_noise": 0.1,
    "sampling": {"max_slices_per_patient": 5},
}
SIZES = pytest.mark.parametrize("size", [16, 32], ids=["as stored", "resized"])


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHESTGAN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def write(path: Path, size: int, patients: str = "P1 P2 P3", seed: int = 0, each: int = 8) -> Path:
    """A shard of noise in HU; patients of the classes A and G in turn, each from the base of the lungs to the apex."""
    words = [word for word in patients.split() for _ in range(each)]
    hu = np.random.default_rng(seed).integers(-1024, 300, (len(words), size, size)).astype(np.int16)
    rows = [
        SliceRow(
            word, "AG"[int(word[1:]) % 2], f"1.{word}", f"1.{word}.{at}", 10.0 * (at % each), 0.3, 64 / size,
            position=(at % each) / (each - 1) if at % 5 else -1.0,
        )
        for at, word in enumerate(words)
    ]  # fmt: skip
    write_shard(Shard(hu, tuple(rows)), path)
    return path


def marks_of(size: int) -> SliceMarks:
    """A box on every third slice of the first two patients; of the third nothing is known."""
    mm = 64 / size
    box = SliceBox(size / 4, size / 4, size / 2, 3 * size / 4, size / 4 * mm, size / 2 * mm)
    return {
        (word, f"1.{word}.{at}"): (box,) if at % 3 == 0 else ()
        for first, word in ((0, "P1"), (8, "P2"))
        for at in range(first, first + 8)
    }


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., LoadedSlices[Images]]:
    """The same two shards, in memory or mapped."""

    def load(held: str, size: int = 16, experiment: Experiment | None = None) -> LoadedSlices[Images]:
        paths = [tmp_path / f"{size}-a.safetensors", tmp_path / f"{size}-b.safetensors"]
        if not paths[0].exists():
            write(paths[0], size), write(paths[1], size, "P4 P5", seed=1)
        monkeypatch.setenv("CHESTGAN_SLICES", held)
        found = load_training_slices(paths, experiment or conditional(**AUGMENTED), marks_of(size))
        assert found.held == held
        return found

    return load


def files(folder: Path) -> dict[str, bytes]:
    """What a training writes that depends on nothing but its data and its seed."""
    names = ("generator.safetensors", "discriminator.safetensors")
    return {name: (folder / name).read_bytes() for name in names}


@SIZES
def test_what_is_taken_has_the_same_bits_as_from_memory(
    size: int, loaded: Callable[..., LoadedSlices[Images]]
) -> None:
    memory, mapped = loaded("memory", size), loaded("mapped", size)
    assert isinstance(mapped.images, MappedImages)
    assert isinstance(memory.images, torch.Tensor)
    assert mapped.images.shape == memory.images.shape == (40, 1, 16, 16)
    mask = torch.arange(40) % 3 == 0
    chosen: list[Any] = [
        slice(3, 30), slice(None, None, 7), slice(40, 50), [5, 5, 39, 0, -1], torch.tensor([7, 2, 2]), mask,
        mask.numpy(), np.array([], np.int64), 0, 39, -1,
    ]  # fmt: skip
    for some in chosen:
        expected, found = memory.images[some], mapped.images[some]
        assert found.dtype == torch.float32
        if not isinstance(some, slice | int) and len(found):
            assert found.stride() == expected.stride()
        assert torch.equal(found, expected), some
    for wrong in (40, [3, -41]):
        with pytest.raises(IndexError, match="there are 40 images"):
            mapped.images[wrong]
    assert data_fingerprint(mapped.images) == data_fingerprint(memory.images)
    assert spread_of(mapped.images) == spread_of(memory.images)
    assert spread_of(memory.images) == float(memory.images.std(dim=0).mean())
    for name in ("patients", "lung_mm", "rows"):
        assert getattr(mapped, name) == getattr(memory, name)
    for ours, theirs in zip(mapped.conditions.tensors, memory.conditions.tensors, strict=True):
        assert torch.equal(ours, theirs) or torch.equal(ours.isnan(), theirs.isnan())
    tables = [layouts_of(one, conditional()) for one in (mapped, memory)]
    for name, tensor in tables[0].tensors().items():
        assert tensor.numpy().tobytes() == tables[1].tensors()[name].numpy().tobytes()


def test_a_file_has_half_the_bytes_where_nothing_is_resized(
    loaded: Callable[..., LoadedSlices[Images]], home: Path
) -> None:
    for size, bytes_of_a_pixel in ((16, 2), (32, 4)):
        kept = loaded("mapped", size)
        (file,) = (home / "mapped-slices").glob("*.safetensors")
        assert file.stat().st_size == 4096 + len(kept) * 16 * 16 * bytes_of_a_pixel
        assert file.stat().st_mode & 0o777 == 0o600
        del kept
        gc.collect()


@SIZES
def test_a_training_ends_with_the_same_bytes_as_from_memory(
    size: int, loaded: Callable[..., LoadedSlices[Images]], tmp_path: Path
) -> None:
    experiment, ended = conditional(**AUGMENTED), {}
    for held in ("memory", "mapped"):
        outcome = train(experiment, loaded(held, size), tmp_path / held, CPU, Budget(None, 40))
        assert (outcome.slices, outcome.training_images) == (held, 40)
        ended[held] = files(tmp_path / held)
    assert ended["memory"] == ended["mapped"]


@pytest.mark.parametrize(
    ("first", "then"), [("memory", "mapped"), ("mapped", "memory"), ("mapped", "mapped")]
)
def test_a_training_that_is_resumed_the_other_way_ends_with_the_same_bytes(
    first: str, then: str, loaded: Callable[..., LoadedSlices[Images]], tmp_path: Path
) -> None:
    experiment = conditional(**AUGMENTED)
    train(experiment, loaded("memory"), tmp_path / "whole", CPU, Budget(None, 40))
    train(experiment, loaded(first), tmp_path / "parts", CPU, Budget(None, 20))
    gc.collect()  # the file of the first attempt is gone
    outcome = train(experiment, loaded(then), tmp_path / "parts", CPU, Budget(None, 40))
    assert (outcome.resumed_at, outcome.images_seen) == (20, 40)
    assert files(tmp_path / "whole") == files(tmp_path / "parts")


@pytest.mark.slow
def test_two_processes_share_the_file_and_end_with_the_same_bytes(
    loaded: Callable[..., LoadedSlices[Images]], tmp_path: Path
) -> None:
    experiment, ended = conditional(**AUGMENTED), []
    for held in ("memory", "mapped"):
        slices, out = loaded(held), tmp_path / held
        with start_gpu_workers(2, experiment, slices, out, CPU, Budget(None, 40)) as world:
            train(experiment, slices, out, CPU, Budget(None, 40), world=world)
        ended.append(files(out))
    assert ended[0] == ended[1]


def test_a_process_that_gets_the_images_opens_the_file_by_itself(
    loaded: Callable[..., LoadedSlices[Images]],
) -> None:
    images = loaded("mapped").images
    sent = pickle.dumps(images)
    assert len(sent) < 1000
    assert torch.equal(pickle.loads(sent)[:], images[:])


class _Means:
    """An extractor: the mean of each row of pixels."""

    id = "means"

    def features(self, images: torch.Tensor, label: str | None = None) -> np.ndarray:
        return images.mean(dim=(1, 3)).numpy()

    def comparable(self, features: np.ndarray, real: np.ndarray) -> np.ndarray:
        return features


def test_held_out_slices_are_judged_by_as_from_memory(
    loaded: Callable[..., LoadedSlices[Images]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, scores = write(tmp_path / "other.safetensors", 16, "P8 P9", seed=2), []
    for held in ("memory", "mapped"):
        trained = loaded(held)
        judging = load_held_out([path], trained, conditional(), marks_of(16))
        assert judging.held == held
        with pytest.raises(BadInput, match="held-out slices: have 3 of their 3 patient"):
            load_held_out([tmp_path / "16-a.safetensors"], trained, conditional(), marks_of(16))
        extractor: Any = _Means()
        scores.append(Validator(extractor, judging.images, 12, seed=1)(trained.images[:20]))
    assert scores[0] == scores[1]


def test_rows_are_kept_for_reports_only(loaded: Callable[..., LoadedSlices[Images]], tmp_path: Path) -> None:
    trained = loaded("mapped")
    whole = load_slices([tmp_path / "16-a.safetensors"], conditional(), marks_of(16))
    assert (len(trained.rows), len(whole.rows)) == (0, 24)
    assert trained.lung_mm == whole.lung_mm == pytest.approx(70)
    assert trained.told()["with_tumour"] == 6


# Which of both


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None, int | None], None]:
    """So many bytes of main memory, and of the GPU's."""

    def set_free(main: int | None, gpu: int | None) -> None:
        monkeypatch.setattr(slice_memory, "available_memory", lambda: main)
        monkeypatch.setattr(slice_memory, "free_memory", lambda device: gpu)

    return set_free


def test_what_needs_more_than_half_of_what_is_free_is_mapped(
    free: Callable[[int | None, int | None], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, gpu = small(), torch.device("cuda")
    needed = 1000 * 16 * 16 * 4
    for main, of_gpu, held in (
        (2 * needed, None, "memory"),
        (2 * needed - 1, None, "mapped"),
        (2 * needed, 2 * needed, "memory"),
        (2 * needed, 2 * needed - 1, "mapped"),
        (None, None, "memory"),
    ):
        free(main, of_gpu)
        assert choose_memory(1000, experiment, gpu).held == held, (main, of_gpu)
    free(2 * needed, 2 * needed)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")  # by torchrun: both processes would hold them
    assert choose_memory(1000, experiment, gpu).held == "mapped"


def test_a_report_that_cannot_hold_its_slices_says_so_before_it_loads_them(
    free: Callable[[int | None, int | None], None], tmp_path: Path
) -> None:
    path, needed = write(tmp_path / "a.safetensors", 16), 24 * 16 * 16 * 4
    free(needed - 1, None)
    said = (
        r"^24 slices for .*: take 2.5e-05 GB of memory all together, and 2.5e-05 GB are free; use a machine"
    )
    with pytest.raises(BadInput, match=said):
        load_slices([path], small())
    for enough in (needed, None):
        free(enough, None)
        assert len(load_slices([path], small()).images) == 24


def test_the_setting_forces_it_and_the_environment_overrides_the_setting(
    free: Callable[[int | None, int | None], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    free(2**40, None)
    fields = small().model_dump(mode="json")
    asked = Experiment.model_validate(fields | {"compute": {"slices": "mapped"}})
    assert asked.fingerprint() == small().fingerprint()
    assert choose_memory(10, asked, CPU).held == "mapped"
    assert choose_memory(10, asked, CPU).reason.endswith("by compute.slices")
    monkeypatch.setenv("CHESTGAN_SLICES", "memory")
    assert choose_memory(10, asked, CPU).held == "memory"
    assert choose_memory(10, asked, CPU).reason.endswith("by $CHESTGAN_SLICES")
    monkeypatch.setenv("CHESTGAN_SLICES", "maped")
    with pytest.raises(BadInput, match=r"CHESTGAN_SLICES: 'maped' is not a valid value; did you mean mapped"):
        choose_memory(10, asked, CPU)


def test_one_line_says_where_the_slices_are_and_why(
    tmp_path: Path, free: Callable[[int | None, int | None], None], caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "a.safetensors", 16)
    for main, said in (
        (2**30, "24 slices of 16 x 16 in memory (2.5e-05 GB as float32, 1.1 GB of memory free)"),
        (1000, "24 slices of 16 x 16 in a mapped file of 1.6e-05 GB (2.5e-05 GB as float32, and 1e-06 GB of"),
    ):
        free(main, None)
        caplog.clear()
        with caplog.at_level(logging.INFO):
            load_training_slices([path], small())
        assert [line for line in caplog.messages if said in line]


# The file


def folder_of(home: Path) -> list[str]:
    return sorted(path.suffix for path in (home / "mapped-slices").iterdir())


def test_the_file_is_there_as_long_as_somebody_has_its_images(
    loaded: Callable[..., LoadedSlices[Images]], home: Path
) -> None:
    first = loaded("mapped")
    second = loaded("mapped")
    assert folder_of(home) == [".lock", ".safetensors"]
    del first
    gc.collect()
    assert folder_of(home) == [".lock", ".safetensors"]
    del second
    gc.collect()
    assert folder_of(home) == []


def _leave(paths: list[Path], held: str) -> None:
    """Load the slices in a process that is then killed."""
    os.environ["CHESTGAN_SLICES"] = held
    slices = load_training_slices(paths, small())
    assert slices.held == held
    os.kill(os.getpid(), 9)


def test_what_a_killed_process_left_is_used_again(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    paths = [write(tmp_path / "a.safetensors", 16)]
    process = multiprocessing.get_context("spawn").Process(target=_leave, args=(paths, "mapped"))
    process.start()
    process.join(120)
    assert process.exitcode == -9
    (file,) = (home / "mapped-slices").glob("*.safetensors")
    number = file.stat().st_ino
    monkeypatch.setenv("CHESTGAN_SLICES", "mapped")
    with caplog.at_level(logging.INFO):
        slices = load_training_slices(paths, small())
    assert file.stat().st_ino == number
    assert "is used again" in caplog.text
    assert torch.equal(slices.images[:], load_slices(paths, small()).images)


@pytest.fixture
def left(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A shard, and a file of it that no process uses."""
    monkeypatch.setenv("CHESTGAN_SLICES", "mapped")
    paths = [write(tmp_path / "a.safetensors", 16)]
    slices = load_training_slices(paths, small())
    (file,) = (home / "mapped-slices").glob("*.safetensors")
    shutil.copyfile(file, tmp_path / "kept")
    del slices
    gc.collect()
    assert not file.exists()
    shutil.copyfile(tmp_path / "kept", file)
    return SimpleNamespace(paths=paths, file=file)


def _cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 100)


def _flip(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.seek(-5, os.SEEK_END)
        stream.write(b"\x55")


def _foreign(file: Path) -> None:
    file.write_bytes(b"something else")


def _of_others(file: Path) -> None:
    """Of the same slices, but not through this window."""
    file.write_bytes(file.read_bytes().replace(file.stem.encode(), b"0" * len(file.stem)))


@pytest.mark.parametrize("damage", [_cut, _flip, _foreign, _of_others])
def test_a_damaged_or_foreign_file_is_made_again(
    damage: Callable[[Path], None],
    left: SimpleNamespace,
    caplog: pytest.LogCaptureFixture,
) -> None:
    damage(left.file)
    slices = load_training_slices(left.paths, small())
    assert "is damaged, or something else, and is made again" in caplog.text
    assert torch.equal(slices.images[:], load_slices(left.paths, small()).images)


def test_other_slices_get_a_file_of_their_own_and_what_nobody_uses_goes(
    left: SimpleNamespace, home: Path
) -> None:
    part = left.file.with_name(f".{left.file.name}.00000000-1-00000000.part")
    part.write_bytes(b"half")
    os.utime(part, (0, 0))  # of another machine, long ago
    write(left.paths[0], 16, seed=5)  # the training set was changed
    slices = load_training_slices(left.paths, small())
    assert torch.equal(slices.images[:], load_slices(left.paths, small()).images)
    assert not left.file.exists()
    assert not part.exists()
    assert folder_of(home) == [".lock", ".safetensors"]


def _digest(paths: list[Path], answers: Any, barrier: Any) -> None:
    os.environ["CHESTGAN_SLICES"] = "mapped"
    barrier.wait(60)
    slices = load_training_slices(paths, small())
    (file,) = (Path(os.environ["CHESTGAN_HOME"]) / "mapped-slices").glob("*.safetensors")
    answers.put((data_fingerprint(slices.images), file.stat().st_ino))
    barrier.wait(60)


def test_of_two_processes_at_once_one_makes_the_file_for_both(tmp_path: Path, home: Path) -> None:
    paths = [write(tmp_path / "a.safetensors", 16, each=400)]
    context = multiprocessing.get_context("spawn")
    answers, barrier = context.Queue(), context.Barrier(2)
    processes = [context.Process(target=_digest, args=(paths, answers, barrier)) for _ in range(2)]
    for process in processes:
        process.start()
    found = {answers.get(timeout=120) for _ in processes}
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert len(found) == 1
    assert folder_of(home) == []


def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.safetensors", 16)
    monkeypatch.setenv("CHESTGAN_SLICES", "mapped")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=2**20))
    with pytest.raises(
        DiskFull, match=r"mapped-slices: the disk has .* set CHESTGAN_HOME to a folder .*memory$"
    ):
        load_training_slices([path], small())
    assert not list((home / "mapped-slices").glob("*.safetensors"))


def test_a_home_that_cannot_be_written_is_refused(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.safetensors", 16)
    monkeypatch.setenv("CHESTGAN_SLICES", "mapped")
    home.write_text("a file, not a folder")
    with pytest.raises(
        BadInput, match=r"mapped-slices: cannot be read or written .* set CHESTGAN_HOME"
    ) as refused:
        load_training_slices([path], small())
    assert "\n" not in str(refused.value)


def test_a_slice_in_two_files_is_refused_as_from_memory(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [write(tmp_path / f"{name}.safetensors", 16) for name in "ab"]
    monkeypatch.setenv("CHESTGAN_SLICES", "mapped")
    with pytest.raises(
        BadInput, match=r"b\.safetensors: holds 24 slice\(s\) that .*a\.safetensors holds too"
    ):
        load_training_slices(paths, small())
    assert not list((home / "mapped-slices").glob("*.safetensors"))


def test_a_shard_that_is_replaced_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors", 16)
    table = read_table([path], small(), None, keep_rows=False)
    write(path, 16, "P1")
    with pytest.raises(BadInput, match=r"a\.safetensors: was changed while it was read"):
        list(table.parts())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_cuda_batches_are_read_ahead_and_are_those_of_the_memory_of_the_gpu(
    loaded: Callable[..., LoadedSlices[Images]], tmp_path: Path
) -> None:
    from chestgan_core.training.feed import SliceFeed, draw_batch
    from chestgan_core.training.sampling import IndexSampler

    device, memory = torch.device("cuda"), loaded("memory").images
    mapped = loaded("mapped").images
    assert isinstance(memory, torch.Tensor)
    assert isinstance(mapped, MappedImages)
    feed, random = SliceFeed(mapped, device, 2), [torch.Generator(device).manual_seed(1) for _ in range(2)]
    sampler = IndexSampler(len(memory), None, device)
    for number in range(20):
        batches = [
            draw_batch(images, sampler, 4, one)
            for images, one in zip((memory.to(device), feed), random, strict=True)
        ]
        for ours, theirs in zip(*batches, strict=True):
            assert torch.equal(ours, theirs)
        for one in random:
            torch.randn(7 + number % 2, generator=one, device=device)
    feed.close()
    ready, missed = feed.read_ahead
    assert ready >= 14, missed

"""Generating and uploading at once: the same set as from a folder, whatever happens on the way."""

import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import DamagedObject, DiskFull, StoreUnreachable
from chestgan_core.layouts.layout import Layout
from chestgan_core.publishing.reader.levels import Bits
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.transfer import generated_upload, staging
from chestgan_core.publishing.transfer.fetching import fetch_set
from chestgan_core.publishing.transfer.generated_upload import publish_plan
from chestgan_core.publishing.transfer.verifying import verify_set
from chestgan_core.publishing.versions.index import read_index
from chestgan_core.publishing.versions.index_rebuild import rebuild_index
from chestgan_core.publishing.writing import image_tars
from chestgan_core.publishing.writing.contents import SetPlan, plan_set
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.store import keys
from chestgan_core.store.client import Access, s3_client
from chestgan_core.store.objects import ObjectStore
from chestgan_core.store.store import Store
from chestgan_core.training.generation import generate
from chestgan_core.training.weights import LoadedGenerator, save_generator

IMAGES, PER_TAR, TARS = 80, 8, 10


@pytest.fixture(autouse=True)
def small_tars(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """And one thread of PyTorch, which makes the same bits: it waits for no core that an encoder has."""
    monkeypatch.setattr(image_tars, "IMAGES_PER_TAR", PER_TAR)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def plan(generator: LoadedGenerator, experiment: Experiment, provenance: dict[str, str]) -> SetPlan:
    return plan_set(generator, experiment, IMAGES, 100, provenance)


@pytest.fixture
def expected(
    generator: LoadedGenerator, experiment: Experiment, provenance: dict[str, str], tmp_path: Path
) -> SetFolder:
    """The same set, from a folder."""
    return write_set(generator, experiment, IMAGES, 100, tmp_path / "expected", provenance)


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[], Path]:
    """A new scratch folder each time."""
    numbers = iter(range(100))

    def make() -> Path:
        path = tmp_path / f"scratch-{next(numbers)}"
        path.mkdir()
        return path

    return make


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The seeds that were generated, in order."""
    seeds: list[int] = []

    def counting(
        of: LoadedGenerator, wanted: Sequence[int], layouts: Sequence[Layout] | None = None
    ) -> Tensor:
        seeds.extend(wanted)
        return generate(of, wanted, layouts)

    monkeypatch.setattr(image_tars, "generate", counting)
    return seeds


def staged(store: Store, name: str = "tiny") -> list[str]:
    return [item.key for item in store.list(keys.unfinished_prefix(name))]


def seeds_of_tar(number: int) -> list[int]:
    return [*range(100 + number * PER_TAR, 100 + (number + 1) * PER_TAR)]


@pytest.mark.parametrize("bits", [8, 16])
def test_a_streamed_release_is_the_set_that_is_written_into_a_folder(
    bits: Bits,
    generator: LoadedGenerator,
    experiment: Experiment,
    provenance: dict[str, str],
    store: Store,
    folder: Callable[[], Path],
) -> None:
    written = write_set(generator, experiment, IMAGES, 100, folder(), provenance, bits)
    plan = plan_set(generator, experiment, IMAGES, 100, provenance, bits)
    published = publish_plan(store, plan, folder())
    assert (published.version, published.images, published.bytes) == (written.version, IMAGES, written.bytes)
    assert store.get_bytes(written.manifest_key) == (written.path / "manifest.json").read_bytes()
    fetched = fetch_set(store, "tiny", None, folder() / "fetched")
    for item in written.objects:
        assert fetched.file(item).read_bytes() == written.file(item).read_bytes()
    assert verify_set(fetched.path).broken == {}
    assert [entry.version for entry in read_index(store)] == [written.version]
    assert staged(store) == []


def test_tars_are_uploaded_while_others_are_generated_and_few_are_on_the_disk(
    plan: SetPlan,
    store: Store,
    folder: Callable[[], Path],
    generated: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scratch = folder()
    uploads: list[tuple[str, int, int]] = []
    put_file = ObjectStore.put_file

    def watched(self: ObjectStore, path: Path, key: str, sha256: str = "") -> Any:
        tars = len([*scratch.glob("*.tar"), *scratch.glob(".*.tar.*.part")])
        uploads.append((path.name, len(generated), tars))
        return put_file(self, path, key, sha256)

    monkeypatch.setattr(ObjectStore, "put_file", watched)
    publish_plan(store, plan, scratch)
    assert [name for name, _, _ in uploads] == [image_tars.tar_name(number) for number in range(TARS)]
    assert uploads[0][1] < IMAGES
    assert max(tars for _, _, tars in uploads) <= 2
    assert not [*scratch.glob("*.tar")]


KILLED = """
import os, signal, sys
from pathlib import Path
from chestgan_core.publishing.transfer.generated_upload import publish_plan
from chestgan_core.publishing.writing import image_tars
from chestgan_core.publishing.writing.contents import plan_set
from chestgan_core.store.objects import ObjectStore
from chestgan_core.store.store import Store
from chestgan_core.training.weights import load_generator

image_tars.IMAGES_PER_TAR = 8
generator, put_file, uploads = load_generator(Path(sys.argv[1])), ObjectStore.put_file, []

def killed_at_the_fourth(self, path, key, sha256=""):
    uploads.append(key)
    if len(uploads) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return put_file(self, path, key, sha256)

ObjectStore.put_file = killed_at_the_fourth
given = {"source": "generated phantom images", "source_licence": "none needed", "run": "r1"}
publish_plan(Store.open(), plan_set(generator, generator.experiment, 80, 100, given), Path(sys.argv[2]))
"""


def test_a_release_that_was_killed_goes_on_and_generates_no_staged_tar_again(
    plan: SetPlan,
    expected: SetFolder,
    store_of_the_environment: Store,
    generated: list[int],
    folder: Callable[[], Path],
    tmp_path: Path,
) -> None:
    store = store_of_the_environment
    save_generator(tmp_path, plan.generator.module, plan.generator.experiment)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "generator.safetensors"), str(folder())]
    killed = subprocess.run(command, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    # Nobody sees an unfinished set.
    assert rebuild_index(store).entries == ()
    assert rebuild_index(store).damaged == ()
    assert len([key for key in staged(store) if key.endswith(".json")]) == 3
    published = publish_plan(store, plan, folder())
    assert generated == [seed for number in range(3, TARS) for seed in seeds_of_tar(number)]
    assert published.version == expected.version
    fetched = fetch_set(store, "tiny", None, folder() / "fetched")
    assert {path.name: path.read_bytes() for path in fetched.path.glob("[!.]*")} == {
        path.name: path.read_bytes() for path in expected.path.glob("[!.]*")
    }


def test_a_store_that_goes_away_loses_nothing_and_the_same_call_goes_on(
    plan: SetPlan,
    expected: SetFolder,
    store: Store,
    folder: Callable[[], Path],
    generated: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nobody = s3_client(Access("http://127.0.0.1:9", "key", "secret"), attempts=1, answer_within=2)
    put_file, there = ObjectStore.put_file, [True]

    def gone_after_two(self: ObjectStore, path: Path, key: str, sha256: str = "") -> Any:
        reached = not there[0] or path.name < image_tars.tar_name(2)
        return put_file(self if reached else replace(self, client=nobody), path, key, sha256)

    monkeypatch.setattr(ObjectStore, "put_file", gone_after_two)
    with pytest.raises(StoreUnreachable, match="does not answer"):
        publish_plan(store, plan, folder())
    # It ended with the upload that failed, not with the set.
    assert len(generated) < IMAGES
    there[0] = False
    generated.clear()
    assert publish_plan(store, plan, folder()).version == expected.version
    assert generated == [seed for number in range(2, TARS) for seed in seeds_of_tar(number)]


def test_a_staged_tar_that_is_damaged_or_has_no_record_is_generated_again(
    plan: SetPlan, expected: SetFolder, store: Store, folder: Callable[[], Path], generated: list[int]
) -> None:
    place = staging.Staging(store, plan)
    with image_tars.Progress("test", None, "images") as progress:
        for tar in image_tars.make_tars(plan.generator, plan.facts, range(TARS), folder(), progress):
            place.put(tar)
    records = [key for key in staged(store) if key.endswith(".json")]
    tars = [key for key in staged(store) if key.endswith(".tar")]
    store.delete(records[0])
    store.put_bytes(b"{}", records[1])
    store.put_bytes(b"not the tar", next(key for key in tars if key.endswith("images-0003.tar")))
    generated.clear()
    assert publish_plan(store, plan, folder()).version == expected.version
    assert generated == seeds_of_tar(0) + seeds_of_tar(1) + seeds_of_tar(3)


def test_two_releases_of_the_same_images_at_once_both_end_with_whole_sets(
    plan: SetPlan, expected: SetFolder, store: Store, folder: Callable[[], Path]
) -> None:
    other = replace(plan, provenance={**plan.provenance, "run": "r2"})
    begin = threading.Barrier(3)

    def release(one: SetPlan) -> str:
        scratch = folder()
        begin.wait()
        return publish_plan(store, one, scratch).version

    with ThreadPoolExecutor(3) as pool:
        versions = list(pool.map(release, [plan, plan, other]))
    assert versions[:2] == [expected.version] * 2
    assert versions[2] != expected.version
    for version in versions[1:]:
        assert verify_set(fetch_set(store, "tiny", version, folder() / "fetched").path).broken == {}


@pytest.mark.parametrize("moment", ["find", "copy"])
def test_what_another_release_takes_away_is_generated_again(
    moment: str,
    plan: SetPlan,
    expected: SetFolder,
    store: Store,
    folder: Callable[[], Path],
    generated: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = staging.Staging(store, plan)
    with image_tars.Progress("test", None, "images") as progress:
        for tar in image_tars.make_tars(plan.generator, plan.facts, [0, 1], folder(), progress):
            place.put(tar)
    generated.clear()
    calls = [0]
    real = getattr(staging.Staging, moment)

    def after_it_was_deleted(self: staging.Staging, *arguments: Any) -> Any:
        calls[0] += 1
        # `find` looks at both tars first, and reads their rows later.
        if calls[0] == {"find": 3, "copy": 1}[moment]:
            place.delete()
        return real(self, *arguments)

    monkeypatch.setattr(staging.Staging, moment, after_it_was_deleted)
    assert publish_plan(store, plan, folder()).version == expected.version
    assert set(seeds_of_tar(0)) < set(generated)
    assert verify_set(fetch_set(store, "tiny", None, folder() / "fetched").path).broken == {}


def test_a_tar_that_is_damaged_on_this_machine_is_not_uploaded(
    plan: SetPlan, store: Store, folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    intact = generated_upload.require_intact

    def after_a_bit_flipped(tar: image_tars.ImageTar, *arguments: Any) -> None:
        data = bytearray(tar.path.read_bytes())
        data[tar.rows[3]["offset"] + 50] ^= 4
        tar.path.write_bytes(data)
        intact(tar, *arguments)

    monkeypatch.setattr(generated_upload, "require_intact", after_a_bit_flipped)
    with pytest.raises(DamagedObject, match=r"images-0000\.tar: 000003\.png: is not what was generated"):
        publish_plan(store, plan, folder())
    assert staged(store) == []


def test_only_what_nobody_has_written_to_for_a_day_is_removed_by_the_next_release(
    plan: SetPlan, store: Store, folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [keys.unfinished_file("tiny", "0" * 16, f"images-0000.{end}") for end in ("json", "tar")]
    elsewhere = keys.unfinished_file("tiny-2", "0" * 16, "images-0000.tar")
    for key in [*others, elsewhere]:
        store.put_bytes(b"of somebody", key)
    publish_plan(store, plan, folder())
    assert staged(store) == others
    monkeypatch.setattr(staging, "ABANDONED", timedelta(0))
    publish_plan(store, plan, folder())
    assert staged(store) == []
    assert staged(store, "tiny-2") == [elsewhere]


def test_a_disk_that_fills_up_loses_nothing_and_the_same_call_goes_on(
    plan: SetPlan, expected: SetFolder, store: Store, folder: Callable[[], Path], generated: list[int]
) -> None:
    place = staging.Staging(store, plan)
    with image_tars.Progress("test", None, "images") as progress:
        for tar in image_tars.make_tars(plan.generator, plan.facts, [0, 1], folder(), progress):
            place.put(tar)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    scratch = folder()
    try:
        # As large as a file may be: smaller than a tar. The server is another process.
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
        with pytest.raises(DiskFull, match=r"images-0002\.tar: cannot be written"):
            publish_plan(store, plan, scratch)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [*scratch.iterdir()] == []
    generated.clear()
    assert publish_plan(store, plan, scratch).version == expected.version
    assert generated == [seed for number in range(2, TARS) for seed in seeds_of_tar(number)]


def test_a_full_disk_is_said_before_the_first_image(
    generator: LoadedGenerator,
    experiment: Experiment,
    provenance: dict[str, str],
    store: Store,
    folder: Callable[[], Path],
    generated: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(generated_upload, "_TARS_ON_DISK", 10**9)
    plan = plan_set(generator, experiment, IMAGES, 0, provenance)
    with pytest.raises(DiskFull, match="are needed"):
        publish_plan(store, plan, folder())
    assert generated == []

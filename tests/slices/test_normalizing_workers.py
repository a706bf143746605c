"""Several processes normalize a delivery to the same bytes, counts and causes as one."""

import gzip
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.errors import BadInput
from chestgan_core.local.progress import Progress
from chestgan_core.local.workers import Workers
from chestgan_core.slices.normalization import normalize
from chestgan_core.slices.normalizing_workers import normalizing_workers
from chestgan_core.slices.recipe import NormalizationRecipe
from chestgan_core.slices.shards import rows_path, write_shard
from chestgan_core.sources.phantom.patients import write_phantoms
from tests.dicom.compressed_files import file_of
from tests.dicom.ct_files import as_bytes, chest_hu, ct_slice, write_series

RECIPE = NormalizationRecipe(size=48, trim=0.05)


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """Three processes, used by all tests of this file, as by the patients of a batch."""
    with normalizing_workers(cores=3, start_after=0) as pool:
        yield pool


def ready(pool: Workers, delivery: Path) -> None:
    """Normalizes something until all processes take part."""
    while not pool.ready:
        normalize([delivery], RECIPE, Pseudonyms(), workers=pool)


def files_of_shard(paths: list[Path], out: Path, pool: Workers | None) -> tuple[bytes, bytes, object]:
    """The bytes of the shard and of its rows, and the report without times."""
    done = normalize(paths, RECIPE, Pseudonyms(), workers=pool)
    write_shard(done.shard, out / "shard.safetensors")
    report = {k: v for k, v in done.report.as_json().items() if k not in ("seconds", "slices_per_second")}
    sheet = done.doubtful.png()
    return (
        (out / "shard.safetensors").read_bytes(),
        rows_path(out / "shard.safetensors").read_bytes(),
        (report, sheet),
    )


def zipped(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder))
    return path


def delivery(folder: Path) -> list[Path]:
    """Patients in folders, zips, a packed tar and single packed files, with everything that is left out or doubtful."""
    patients = [one.folder for one in write_phantoms(folder / "phantoms", patients=3, size=128, slices=16)]
    zips = [zipped(patients[0], folder / "a.zip"), zipped(patients[1], folder / "b.zip")]
    shutil.rmtree(patients[0])
    shutil.rmtree(patients[1])
    with tarfile.open(folder / "c.tar.gz", "w:gz") as archive:
        archive.add(patients[2], "c")
    shutil.rmtree(patients[2])
    more = write_series(folder / "more", count=12, series="2.25.7", PatientID="PH-B0007")
    (more / "copy").write_bytes(next(more.iterdir()).read_bytes())
    (more / "neck").write_bytes(as_bytes(ct_slice(chest_hu(lung=False), z=90, series="2.25.7")))
    (more / "cut").write_bytes(as_bytes(ct_slice(z=93))[:9000])
    (more / "text").write_bytes(b"text")
    long = ct_slice(z=96, series="2.25.7", PatientID="PH-B0007")
    long.add_new(0x00091010, "OB", bytes(20_000))
    long.add_new(0x00090010, "LO", "TEST")
    (more / "long").write_bytes(as_bytes(long))
    words = (chest_hu() + 1024).astype("u2")
    for number, syntax in enumerate(("jpeg-2000", "rle")):
        data = ct_slice(z=3.0 * number, series="2.25.8", PatientID="PH-E0008")
        (more / f"packed{number}").write_bytes(file_of(data, words, syntax))
    (more / "one.gz").write_bytes(
        gzip.compress(as_bytes(ct_slice(z=99, series="2.25.7", PatientID="PH-B0007")))
    )
    damaged = bytearray(zips[1].read_bytes())
    damaged[len(damaged) // 2] ^= 255
    zips[1].write_bytes(damaged)
    return [*zips, folder / "c.tar.gz", more]


def test_several_processes_give_the_bytes_counts_and_causes_of_one(tmp_path, workers):
    paths = delivery(tmp_path)
    alone = files_of_shard(paths, tmp_path / "alone", None)
    ready(workers, paths[0])
    for attempt in range(2):
        assert files_of_shard(paths, tmp_path / f"together{attempt}", workers) == alone


def test_other_files_under_the_same_names_are_read_anew(tmp_path, workers):
    for patient in write_phantoms(tmp_path / "phantoms", patients=2, size=128, slices=16):
        zipped(patient.folder, tmp_path / "same.zip")
        ready(workers, tmp_path / "same.zip")
        together = files_of_shard([tmp_path / "same.zip"], tmp_path / "together", workers)
        assert together == files_of_shard([tmp_path / "same.zip"], tmp_path / "alone", None)


def test_no_process_keeps_a_file_of_a_patient_open(tmp_path, workers):
    (patient,) = write_phantoms(tmp_path / "phantoms", patients=1, size=128, slices=40)
    path = zipped(patient.folder, tmp_path / "one.zip")
    ready(workers, path)
    normalize([path], RECIPE, Pseudonyms(), workers=workers)
    for process in workers.processes:
        assert str(path) not in [file.path for file in psutil.Process(process).open_files()]


def test_an_error_is_the_same_and_the_next_patient_is_not_disturbed(tmp_path, workers):
    neck = write_series(tmp_path / "neck", hu=chest_hu(lung=False))
    with pytest.raises(BadInput) as alone:
        normalize([neck], RECIPE, Pseudonyms())
    ready(workers, write_series(tmp_path / "good", count=12))
    with pytest.raises(BadInput) as together:
        normalize([neck], RECIPE, Pseudonyms(), workers=workers)
    assert str(together.value) == str(alone.value)
    assert normalize([tmp_path / "good"], RECIPE, Pseudonyms(), workers=workers).report.kept


def test_progress_counts_the_slices_of_all_processes(tmp_path, workers):
    folder = write_series(tmp_path / "good", count=30)
    ready(workers, folder)
    with Progress("normalize", None, "slices") as progress:
        normalize([folder], RECIPE, Pseudonyms(), progress, workers=workers)
    assert (progress.done, progress.total) == (30, 30)


def test_a_process_that_is_killed_amid_a_delivery_costs_nothing(tmp_path, caplog):
    (patient,) = write_phantoms(tmp_path / "phantoms", patients=1, size=128, slices=40)
    path = zipped(patient.folder, tmp_path / "one.zip")
    alone = files_of_shard([path], tmp_path / "alone", None)
    with normalizing_workers(cores=2, start_after=0) as pool:
        ready(pool, path)
        (process,) = pool.processes

        class Killing(Progress):
            def step(self, n: int = 1, note: str = "") -> None:
                if psutil.pid_exists(process):
                    psutil.Process(process).kill()
                super().step(n, note)

        with Killing("normalize", None, "slices") as progress:
            done = normalize([path], RECIPE, Pseudonyms(), progress, workers=pool)
    write_shard(done.shard, tmp_path / "killed.safetensors")
    assert (tmp_path / "killed.safetensors").read_bytes() == alone[0]
    assert "was ended by SIGKILL" in caplog.text

"""DICOM export: ours (tar, PNG, sha256, header, atomic file) against bare pydicom writes of the same pixels.

In: nothing. Out: one row. The baseline has the pixels in memory and writes a minimal CT header through pydicom, checks
nothing, and writes straight to the file's name; ours reads the set, checks every image and writes the whole header.
"""

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import torch
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from bench.ratio import Ratio
from chestgan_core.config.experiment import load_experiment
from chestgan_core.networks.registry import build_generator
from chestgan_core.publishing.dicom_export.export import export_dicom
from chestgan_core.publishing.reader.levels import Levels
from chestgan_core.publishing.reader.set_reader import SetReader
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.training.weights import load_generator, save_generator

EXPERIMENT, IMAGES, ROUNDS = "lung-spectral-64", 1_000, 7


def measure() -> list[Ratio]:
    """Images per second, the median of alternating exports of one set; some seconds."""
    experiment = load_experiment(EXPERIMENT)
    with tempfile.TemporaryDirectory(prefix="chestgan-bench-") as scratch:
        torch.manual_seed(0)
        save_generator(Path(scratch), build_generator(experiment), experiment)
        provenance = {"source": "none", "source_licence": "none needed"}
        generator = load_generator(Path(scratch))
        ready = write_set(generator, experiment, IMAGES, 0, Path(scratch) / "set", provenance)
        reader = SetReader(ready)
        pixels = [reader.levels(k) for k in range(IMAGES)]
        out = Path(scratch) / "out"
        ours, theirs = [], []
        for _ in range(ROUNDS + 1):  # the first round warms up
            theirs.append(_rate(lambda: _bare(pixels, out), out))
            ours.append(_rate(lambda: export_dicom(ready.path, out), out))
    note = (
        f"{IMAGES:,} images of {experiment.resolution} x {experiment.resolution}, ours from the set, checked, with the "
        f"whole header; median of {ROUNDS}"
    )
    return [
        Ratio(
            "DICOM export / bare pydicom writes",
            statistics.median(ours[1:]),
            statistics.median(theirs[1:]),
            "images/s",
            0.5,
            note,
        )
    ]


def _rate(export: Callable[[], object], out: Path) -> float:
    started = time.perf_counter()
    export()
    seconds = time.perf_counter() - started
    shutil.rmtree(out)
    return IMAGES / seconds


def _bare(pixels: list[Levels], out: Path) -> None:
    out.mkdir()
    for number, levels in enumerate(pixels):
        d = pydicom.Dataset()
        d.file_meta = FileMetaDataset()
        d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        d.SOPClassUID, d.SOPInstanceUID = CTImageStorage, f"2.25.{number + 1}"
        d.StudyInstanceUID, d.SeriesInstanceUID, d.PatientID = "2.25.7", "2.25.8", "bench"
        d.Modality, d.InstanceNumber = "CT", number + 1
        d.Rows, d.Columns = levels.shape
        d.SamplesPerPixel, d.PhotometricInterpretation, d.PixelRepresentation = 1, "MONOCHROME2", 0
        d.BitsAllocated, d.BitsStored, d.HighBit = 16, 16, 15
        d.RescaleSlope, d.RescaleIntercept = "5.88235294117647", "-1350"
        d.PixelData = levels.astype(np.uint16).tobytes()
        d.save_as(out / f"{number:06d}.dcm", enforce_file_format=True)

"""Synthetic patients without a set around them: slices with their rows, or a folder of PNG files and animations.

In: a generator and the layouts of patients. Out: FILE.safetensors with tensor `slices` (N, R, R) int16, in HU, and
FILE.parquet with a row per slice (series, position, size of a pixel), as normalized slices have them; or, per patient,
FOLDER/SYN-.../000.png (or 000.dcm) from base to apex and FOLDER/SYN-....gif. Beside them what each slice was asked to
show, as CSV of layouts. Only rows and layouts of all patients are in memory, not their images.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from PIL import Image

from chestgan_core.errors import BadInput
from chestgan_core.imaging.lung_mask import coarse_step, find_chest
from chestgan_core.imaging.pictures import png_of, to_grey
from chestgan_core.layouts.gathering import NamedLayout
from chestgan_core.layouts.subject import SubjectLayouts
from chestgan_core.local.files import file_error, replacing, require_space
from chestgan_core.local.output import output_folder, require_output_folder
from chestgan_core.local.parquet import write_parquet
from chestgan_core.local.progress import Progress
from chestgan_core.publishing.dicom_export.uids import Uids, checked_root
from chestgan_core.publishing.loose_images import (
    LAYOUTS,
    SAFETENSORS,
    header,
    require_own_csv,
    write_labels,
)
from chestgan_core.publishing.subject_dicom import SubjectSeries
from chestgan_core.publishing.subjects import SubjectStack, animation_of, generate_subjects, measured
from chestgan_core.slices.shards import GENERATED, SCHEMA, SliceRow, require_replaceable, rows_path
from chestgan_core.training.conditions import class_of
from chestgan_core.training.weights import LoadedGenerator

_SCOPE = "chestgan synthetic patient"  # of names that UIDs are made of
_ANOTHER_DISK = "ask for fewer --subjects, or give --out on another disk"


def write_subjects(
    generator: LoadedGenerator, subjects: Sequence[SubjectLayouts], out: Path, dicom: bool = False
) -> dict[str, Any]:
    """Write the stacks of patients and return what was written, as plain data.

    Args:
        generator: From `load_generator`.
        subjects: From `layouts.subject.subject_layouts`, at least one, all with equally many slices.
        out: A name that ends in .safetensors, or a folder, which is made where it is missing.
        dicom: Slices in a folder are DICOM files, one series per patient (subject_dicom.py), not PNG.

    Returns:
        Where, experiment, sha256 of the generator, window; per patient its name, and what `subjects.measured` says.

    Raises:
        BadInput: Another file name, or a file or folder that holds something else; DICOM of a generator without
            Hounsfield units.
        DiskFull: The disk has no room for them.
        NotAvailable: DICOM of a generator that knows tumours, without highdicom.
    """
    experiment = generator.experiment
    written: dict[str, Any] = {
        "out": str(out),
        "images": sum(len(one.layouts) for one in subjects),
        "resolution": experiment.resolution,
        "experiment": experiment.name,
        "model_sha256": generator.sha256,
        "window": asdict(experiment.display_window),
        "subjects": [],
    }
    if out.suffix and out.suffix != SAFETENSORS and not out.is_dir():
        raise BadInput(
            out, "is neither a .safetensors file nor a folder", "give FILE.safetensors or a folder"
        )
    with Progress(f"generate  {experiment.name}", total=written["images"], unit="images") as progress:

        def stacks() -> Iterator[SubjectStack]:
            for stack in generate_subjects(generator, subjects):
                written["subjects"].append({"name": name_of(generator, stack.layouts), **measured(stack)})
                yield stack
                progress.step(len(stack.images))

        if out.suffix == SAFETENSORS and not out.is_dir():
            _write_shard(generator, subjects, stacks(), written, out)
        else:
            _write_folder(generator, subjects, stacks(), written["images"], out, dicom)
    return written


def name_of(generator: LoadedGenerator, subject: SubjectLayouts) -> str:
    """Of the patient who does not exist: SYN, the model, the seed."""
    return f"SYN-{generator.sha256[:12]}-{subject.seed:06d}"


def rows_of(generator: LoadedGenerator, stack: SubjectStack, hu: np.ndarray) -> list[SliceRow]:
    """The rows of a patient's slices. hu: (n, R, R) int16."""
    subject, name = stack.layouts, name_of(generator, stack.layouts)
    uids, step = Uids(checked_root()), coarse_step(*hu.shape[1:])
    asked = json.dumps([[layout.boxes, layout.position] for layout in subject.layouts])
    rows = []
    for number, (layout, z, image) in enumerate(zip(subject.layouts, subject.z_mm, hu, strict=True)):
        chest = find_chest(image[::step, ::step], step)
        rows.append(
            SliceRow(
                patient=name,
                histology=class_of(subject.seed, generator.experiment, layout),
                series_uid=uids(_SCOPE, generator.sha256, subject.seed, asked, "series"),
                sop_uid=uids(_SCOPE, generator.sha256, subject.seed, asked, number),
                position_mm=z,
                lung_fraction=chest.lung_fraction if chest else 0.0,
                pixel_mm=subject.pixel_mm,
                thickness_mm=subject.spacing_mm,
                position=z / subject.lung_mm,
            )
        )
    return rows


def labels_of(generator: LoadedGenerator, subjects: Sequence[SubjectLayouts]) -> Iterator[NamedLayout]:
    """What each slice was asked to show."""
    for subject in subjects:
        name = name_of(generator, subject)
        for number, layout in enumerate(subject.layouts):
            yield NamedLayout(f"{name}-{number:03d}", layout, subject.seed)


def _write_shard(
    generator: LoadedGenerator,
    subjects: Sequence[SubjectLayouts],
    stacks: Iterator[SubjectStack],
    written: dict[str, Any],
    out: Path,
) -> None:
    size, window = generator.experiment.resolution, generator.experiment.display_window
    shape = (written["images"], size, size)
    require_replaceable(out)
    require_own_csv(out.with_suffix(".csv"))
    require_space([(out.parent, shape[0] * size * size * 2, _ANOTHER_DISK)])
    facts = {name: value for name, value in written.items() if name not in ("out", "subjects")}
    generated = json.dumps(facts, sort_keys=True)

    def head(file: BinaryIO, rows_sha256: str) -> None:
        file.seek(0)
        file.write(header(shape, {GENERATED: generated, "rows_sha256": rows_sha256}))

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_labels(labels_of(generator, subjects), out.with_suffix(".csv"))
        with replacing(out) as path, path.open("wb") as file:
            head(file, "0" * 64)  # of the rows, which are known at the end
            rows: list[SliceRow] = []
            for stack in stacks:
                hu = window.from_unit(stack.images)[:, 0].numpy()
                file.write(hu.tobytes())
                rows += rows_of(generator, stack, hu)
            data = write_parquet(
                pa.table({name: [getattr(row, name) for row in rows] for name in SCHEMA.names}, schema=SCHEMA)
            )
            head(file, hashlib.sha256(data).hexdigest())
            with replacing(rows_path(out)) as part:
                part.write_bytes(data)
    except OSError as error:
        raise file_error(out, error) from error


def _write_folder(
    generator: LoadedGenerator,
    subjects: Sequence[SubjectLayouts],
    stacks: Iterator[SubjectStack],
    images: int,
    out: Path,
    dicom: bool,
) -> None:
    series = SubjectSeries(generator) if dicom else None
    of = f"of the generator {generator.sha256[:16]}{' as DICOM' if dicom else ''}"
    require_output_folder(out, "synthetic patients", of)
    require_space([(out, (3 if dicom else 2) * images * generator.experiment.resolution**2, _ANOTHER_DISK)])
    with output_folder(out, "synthetic patients", of):
        for stack in stacks:
            name = name_of(generator, stack.layouts)
            (out / name).mkdir(exist_ok=True)
            for file, data in series.files(stack) if series else _pngs(stack):
                with replacing(out / name / file, durable=False) as path:
                    path.write_bytes(data)
            with replacing(out / f"{name}.gif") as path:
                path.write_bytes(animation_of(stack))
        write_labels(labels_of(generator, subjects), out / LAYOUTS)


def _pngs(stack: SubjectStack) -> Iterator[tuple[str, bytes]]:
    for number, image in enumerate(to_grey(stack.images)):
        yield f"{number:03d}.png", png_of(Image.fromarray(image))

"""What inputs are made from: generated patients in every transfer syntax, a set, a shard, lists, pictures, YAML.

In: an empty folder. Out: files in it, the same each time. Real CT is used beside them where it is there.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chestgan_core.layouts.table import LayoutTable

SLICES, SIZE = 12, 64
SYNTAXES = ("explicit", "implicit", "big-endian", "deflated", "rle", "jpeg-lossless", "jpeg-ls", "jpeg-2000")


def make_seeds(folder: Path, real: Path | None = None) -> None:
    """Write all seeds. real: a folder of DICOM files."""
    _patients(folder / "patients")
    _syntaxes(folder)
    _shard(folder / "shard")
    _set(folder / "set", folder / "model")
    _forms(folder / "set", folder / "forms")
    _pictures(folder / "pictures")
    _yaml(folder / "yaml")
    _lists(folder / "lists")
    _reports(folder / "reports")
    if real is not None and real.is_dir():
        found = sorted(path for path in real.rglob("*.dcm") if path.stat().st_size < 2**20)
        for number, path in enumerate(found[:: max(len(found) // 20, 1)][:20]):
            (folder / "slices").mkdir(exist_ok=True)
            shutil.copyfile(path, folder / "slices" / f"real-{number:02d}.dcm")


def _patients(folder: Path) -> None:
    import pydicom

    from chestgan_core.sources.phantom.patients import write_phantom

    for number in (2, 3):
        patient = write_phantom(folder.parent / "phantoms", number, 0, SIZE, SLICES)
        (folder / str(number)).mkdir(parents=True)
        for path in patient.files:  # from the head to the abdomen
            place = pydicom.dcmread(path, stop_before_pixels=True).InstanceNumber
            shutil.copyfile(path, folder / str(number) / f"{place:02d}.dcm")


def _syntaxes(folder: Path) -> None:
    """Slices of a patient, one in every transfer syntax that can be encoded here."""
    import pydicom

    from tests.dicom.compressed_files import file_of

    (folder / "slices").mkdir()
    for number, syntax in enumerate(SYNTAXES, 2):
        data = pydicom.dcmread(folder / "patients" / "3" / f"{number:02d}.dcm")
        words = data.pixel_array.astype("uint16")
        (folder / "slices" / f"{syntax}.dcm").write_bytes(file_of(data, words, syntax))


def _shard(folder: Path) -> None:
    import numpy as np

    from chestgan_core.slices.candidates import Candidate
    from chestgan_core.slices.selection import UsedSlice
    from chestgan_core.slices.shards import Shard, SliceRow, write_shard
    from chestgan_core.slices.training_rows import TrainingRows, rows_bytes
    from chestgan_core.slices.tumour_boxes import SliceBox

    rows = tuple(
        SliceRow("P1", "A", "1.2", f"1.2.{at}", float(at), 0.3, 5.0, position=at / 4) for at in range(5)
    )
    write_shard(Shard(np.full((5, 16, 16), -850, np.int16), rows), folder / "lung.safetensors")
    box = SliceBox(left=2.5, top=3, right=6.5, bottom=8, width_mm=20, height_mm=25)
    used = [
        UsedSlice(Candidate("P1", at, row, (box,) * at, annotated=at != 4), "train")
        for at, row in enumerate(rows[:4])
    ]
    (folder / "slices.parquet").write_bytes(rows_bytes(TrainingRows(used)))


def _set(folder: Path, model: Path) -> None:
    import torch

    from chestgan_core.config.experiment import parse_experiment
    from chestgan_core.layouts.layout import Layout
    from chestgan_core.networks.registry import build_generator
    from chestgan_core.publishing.writing.asked import LayoutSource
    from chestgan_core.publishing.writing.set_writer import write_set
    from chestgan_core.training.weights import load_generator, save_generator

    network = {"latent_dim": 8, "generator_width": 4, "discriminator_width": 4}
    fields = {"dataset": "phantom", "network": network, "training": {"images": 100}}
    fields["conditions"] = {"position": True, "tumour": {}}
    experiment = parse_experiment(fields, "tiny", "fuzz")
    model.mkdir()
    torch.manual_seed(0)
    save_generator(model, build_generator(experiment), experiment, layouts=_layouts())
    provenance = {"source": "generated phantom images", "source_licence": "none needed", "run": "r1"}
    asked = (Layout((), 0.25), Layout(((3.5, 4.0, 12.25, 20.0),) * 2, 0.5), Layout(None, None))
    layouts = LayoutSource(lambda seeds: [asked[seed % len(asked)] for seed in seeds], "fuzz")
    write_set(load_generator(model), experiment, 6, 100, folder, provenance, layouts=layouts)


def _layouts() -> "LayoutTable":
    """Of eight slices, every second one with a tumour."""
    import numpy as np

    from chestgan_core.config.conditions import MAX_TUMOURS
    from chestgan_core.imaging.windows import WINDOWS
    from chestgan_core.layouts.table import build_table

    images = np.full((8, 1, 64, 64), -0.3, np.float32)
    boxes = np.full((8, MAX_TUMOURS, 4), np.nan, np.float32)
    boxes[::2, 0] = (20, 24, 28, 30)
    positions = (np.arange(8) + 0.5) / 8
    known, patients = np.arange(8) < 6, ["P1"] * 8
    return build_table(
        *(images, boxes, known, positions, None, patients, np.full(8, 5.0), 240.0, 0, WINDOWS["lung"])
    )


def _forms(published: Path, folder: Path) -> None:
    from chestgan_core.publishing.forms.convert import convert_set
    from chestgan_core.publishing.forms.registry import FORMS

    for form in (name for name, one in FORMS.items() if one.items):  # the others are not read back
        convert_set(published, form, folder / form)


def _pictures(folder: Path) -> None:
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    folder.mkdir()
    for number, suffix in enumerate(("png", "jpg", "tiff", "bmp", "gif", "webp")):
        grey = (rng.random((40, 50)) * 200 + 20).astype(np.uint8)
        Image.fromarray(grey).save(folder / f"{number}.{suffix}")
    Image.fromarray((rng.random((40, 50)) * 60000).astype(np.uint16)).save(folder / "16.png")


def _yaml(folder: Path) -> None:
    import chestgan_core

    package = Path(chestgan_core.__file__).parent
    for kind, source in (
        ("experiments", package / "config" / "experiments"),
        ("datasets", package / "config" / "datasets"),
        ("spaces", package / "tuning" / "spaces"),
    ):
        (folder / kind).mkdir(parents=True)
        for path in sorted(source.glob("*.yaml")):
            shutil.copyfile(path, folder / kind / path.name)


def _lists(folder: Path) -> None:
    import pyarrow as pa

    from chestgan_core.local.parquet import write_parquet
    from chestgan_core.sources.idc.index import COLUMNS

    folder.mkdir()
    rows = [
        {name: f"{name} {number}" for name in COLUMNS}
        | {"collection_id": "lung_pet_ct_dx", "PatientID": f"Lung_Dx-A{number:04d}", "Modality": "CT"}
        | {"SeriesInstanceUID": f"1.2.{number + 1}", "series_aws_url": f"s3://bucket/{number}/*"}
        | {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "instanceCount": 100 + number, "series_size_MB": 52.5}
        for number in range(12)
    ]
    (folder / "index.parquet").write_bytes(write_parquet(pa.Table.from_pylist(rows)))
    lines = [",".join(f'"{row[name]}"' for name in COLUMNS) for row in rows]
    (folder / "index.csv").write_text("\n".join([",".join(COLUMNS), *lines, ""]))
    header = (
        "Series UID,Collection,3rd Party Analysis,Data Description URI,Subject ID,Study UID,Study Description,"
        "Study Date,Series Description,Manufacturer,Modality,SOP Class Name,SOP Class UID,Number of Images,File Size,"
        "File Location,Download Timestamp"
    )
    nbia = [
        f"1.3.6.{number},Lung-PET-CT-Dx,null,https://doi.org/10.7937/TCIA.2020.NNC20461,Lung_Dx-A0001,1.3.7,Chest,"
        f"04-04-2007,5mm,Philips,CT,CT Image Storage,1.2.840.10008.5.1.4.1.1.2,64,{number + 1}.5 MB,./a/b,2025-01-18"
        for number in range(8)
    ]
    (folder / "metadata.csv").write_text("\r\n".join([header, *nbia, ""]))


def _reports(folder: Path) -> None:
    import numpy as np

    from tests.sources.annotations.annotation_files import (
        contour,
        group,
        image,
        lidc_roi,
        lidc_xml,
        region,
        report,
        segmentation,
        structure_set,
    )
    from tests.sources.annotations.slices_in_space import around, points_of, stack

    folder.mkdir()
    groups = [group(region(image(f"1.2.3.{number}"))) for number in range(3)]
    report(*groups).save_as(folder / "report.dcm", enforce_file_format=True)
    slices = stack().slices
    drawn = [contour(points_of(place, around(10, 20, 15, 28)), place.uid) for place in slices]
    structure_set(("GTV-1", "GTV", drawn), ("Heart", "ORGAN", drawn)).save_as(
        folder / "structures.dcm", enforce_file_format=True
    )
    mask = np.zeros((40, 60), np.bool_)
    mask[20:28, 10:15] = True
    segmentation([(place, mask) for place in slices]).save_as(
        folder / "segmentation.dcm", enforce_file_format=True
    )
    outline = [(9, 19), (16, 19), (16, 29), (9, 29)]
    rois = [lidc_roi(outline, place.origin[2], place.uid) for place in slices]
    (folder / "lidc.xml").write_text(lidc_xml(rois, rois[:2], []))

"""PASCAL VOC files, XML of LIDC-IDRI, structured reports, structure sets and segmentations.

Every file gives a box, or is counted under a defect.
"""

import random
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fuzz.dicom_mutation import MUTATIONS
from fuzz.kind import LEFT_OUT, REFUSED, Outcome, refusable
from fuzz.mutation import encoded, several, some_bytes, text

_FILES = 4


def warm_up() -> None:
    """Import what reads annotations, before the address space is limited."""
    import pydicom

    import chestgan_core.sources.annotations.files
    import chestgan_core.sources.annotations.structured_reports
    import chestgan_core.sources.annotations.voc  # noqa: F401
    from tests.sources.annotations import slices_in_space  # noqa: F401

    del pydicom


def make(rng: random.Random, seeds: Path, folder: Path) -> dict[str, Any]:
    """Four XML files and a report; one file of each kind that is drawn in space."""
    patient = folder / "in" / "A0001"
    patient.mkdir(parents=True)
    for number in range(_FILES):
        whole = encoded(_annotation(rng))
        data = several(rng, whole, (_xml, some_bytes)) if rng.random() < 0.8 else whole
        (patient / f"1.2.3.{number}.xml").write_bytes(data)
    report = (seeds / "reports" / "report.dcm").read_bytes()
    (folder / "report.dcm").write_bytes(several(rng, report, MUTATIONS))
    drawn = folder / "drawn"
    drawn.mkdir()
    for name in ("structures.dcm", "segmentation.dcm"):
        (drawn / name).write_bytes(several(rng, (seeds / "reports" / name).read_bytes(), MUTATIONS))
    lidc = (seeds / "reports" / "lidc.xml").read_bytes()
    (drawn / "lidc.xml").write_bytes(several(rng, lidc, (_xml, some_bytes)))
    return {}


def read(folder: Path, facts: Mapping[str, Any]) -> Outcome:
    """All readers."""
    from chestgan_core.sources.annotations.structured_reports import read_report
    from chestgan_core.sources.annotations.voc import read_voc_files

    outcome = Outcome()
    boxes = 0
    for path in sorted((folder / "in" / "A0001").iterdir()):
        found = refusable(outcome, partial(read_voc_files, path, _patient_of))
        boxes += _account(outcome, found, path.name)
    boxes += _account(outcome, read_report(folder / "report.dcm", "P1"), "report.dcm")
    boxes += _read_drawn(outcome, folder / "drawn")
    if not boxes:
        outcome.worse(REFUSED)
    refusable(outcome, partial(read_voc_files, folder / "in", _patient_of))
    return outcome


def _read_drawn(outcome: Outcome, folder: Path) -> int:
    from chestgan_core.config.annotation_config import LidcReadings, RtStructures, Segmentations, VocFiles
    from chestgan_core.dicom.pseudonyms import Pseudonyms
    from chestgan_core.sources.annotations.files import AnnotationReader, FileKind
    from tests.sources.annotations.slices_in_space import places

    kinds: dict[str, FileKind] = {
        "rtstruct": RtStructures(kind="rtstruct"),
        "seg": Segmentations(kind="seg"),
        "lidc": LidcReadings(kind="lidc", readers="each"),
        "voc": VocFiles(kind="voc"),
    }
    reader = AnnotationReader(kinds, places, _patient_of, Pseudonyms())
    counts = refusable(outcome, partial(reader.read_below, folder))
    if counts is None:
        return 0
    # What is no longer recognized is left to the catalog, which counts every file of a folder.
    return sum(_account(outcome, found, kind) for kind, found in counts.found.items() if counts.files[kind])


def _patient_of(folder: str) -> str:
    return "P1"


def _account(outcome: Outcome, found: Any, name: str) -> int:
    """The number of boxes. Notes a file that is lost without a defect, and a box that is none."""
    from chestgan_core.sources.annotations.boxes import Defect

    if found is None:
        return 0
    boxes = found.boxes
    lost = sum(count for defect, count in found.defects.items() if defect.loses)
    # A region that is called otherwise is no tumour, and readers of LIDC may have marked nothing.
    if not boxes and not lost and not found.defects[Defect.OTHER_REGION] and not found.series:
        outcome.worse(LEFT_OUT, f"{name} gives neither a box nor a defect")
    for box in boxes:
        if not (0 <= box.left < box.right <= 65535 and 0 <= box.top < box.bottom <= 65535):
            outcome.worse(LEFT_OUT, f"a box of {box.edges}")
        if min(box.right - box.left, box.bottom - box.top) < 2:
            outcome.worse(LEFT_OUT, f"a box of a pixel, {box.edges}")
    if lost:
        outcome.worse(LEFT_OUT)
    return len(boxes)


def _annotation(rng: random.Random) -> str:
    objects = "".join(_object(rng) for _ in range(rng.choice((0, 1, 1, 2, 5))))
    size = "".join(f"<{name}>{_number(rng, 512)}</{name}>" for name in ("width", "height", "depth"))
    return f"<annotation><folder>Unknow</folder><size>{size}</size>{objects}</annotation>"


def _object(rng: random.Random) -> str:
    edges = "".join(
        f"<{name}>{_number(rng, rng.randrange(1, 512))}</{name}>" for name in ("xmin", "ymin", "xmax", "ymax")
    )
    inner = _object(rng) if rng.random() < 0.05 else ""
    return f"<object><name>{rng.choice('ABEGaq')}</name><bndbox>{edges}</bndbox>{inner}</object>"


def _number(rng: random.Random, usual: int) -> str:
    if rng.random() < 0.08:
        return text(rng).translate({ord("<"): None, ord("&"): None})[:6000]
    return str(rng.choice((usual, usual, float(usual), round(rng.random(), 3))))


def _xml(rng: random.Random, data: bytes) -> bytes:
    """A mutation of tags, entities, encodings and depth."""
    tags = [at for at in range(len(data)) if data[at : at + 1] == b"<"]
    if not tags:
        return data
    at = rng.choice(tags)
    end = data.find(b">", at) + 1
    match rng.randrange(7):
        case 0:
            return data[:at] + data[end:]
        case 1:
            return data[:at] + data[at:end] * rng.choice((2, 3000)) + data[end:]
        case 2:
            name = rng.choice((b"object", b"bndbox", b"x"))
            depth = rng.choice((5, 4000))
            return data[:at] + b"<%s>" % name * depth + b"</%s>" % name * depth + data[at:]
        case 3:
            entity = b'<!DOCTYPE a [<!ENTITY b "' + b"x" * 1000 + b'">]>'
            return rng.choice((entity, b'<!DOCTYPE a SYSTEM "file:///etc/passwd">')) + data.replace(
                b"512", b"&b;", 1
            )
        case 4:
            encoding = rng.choice(("utf-8", "utf-16", "latin-1", "utf-7", "cp037", "base64", "x"))
            return f'<?xml version="1.0" encoding="{encoding}"?>'.encode() + data
        case 5:
            return data[:at] + encoded(text(rng)) + data[at:]
        case _:
            return data.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-32", "utf-8-sig")))

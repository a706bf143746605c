"""Exported DICOM images, their reports of boxes, and PNG files whose set somebody wants to know."""

import json
import random
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from fuzz.dicom_mutation import MUTATIONS
from fuzz.kind import ACCEPTED, Outcome, refusable
from fuzz.mutation import plain_data, several, some_bytes

_IMAGE, _REPORT, _PNG = "000000.dcm", "000000-boxes.dcm", "0.png"


def warm_up() -> None:
    """Import what reads exports, before the address space is limited."""
    import chestgan_core.publishing.whose.given  # noqa: F401


def make(rng: random.Random, seeds: Path, folder: Path) -> dict[str, Any]:
    """An image with its report, one of them mutated, and a mutated PNG."""
    files = dict(_originals())
    name = rng.choice((_IMAGE, _IMAGE, _REPORT))
    if name == _IMAGE and rng.random() < 0.3:
        files[name] = _other_facts(rng, files[name])
    else:
        files[name] = several(rng, files[name], MUTATIONS)
    files[_PNG] = several(rng, files[_PNG], (some_bytes,))
    for file, data in files.items():
        (folder / file).write_bytes(data)
    return {}


def read(folder: Path, facts: Mapping[str, Any]) -> Outcome:
    """As an image of a set with its boxes, by its header alone, and as an image of nobody knows which set."""
    from chestgan_core.publishing.dicom_export.reading import read_exported, read_exported_label
    from chestgan_core.publishing.whose.given import read_given

    outcome = Outcome()
    refusable(outcome, lambda: read_exported(folder / _IMAGE))
    refusable(outcome, lambda: read_exported_label(folder / _IMAGE))
    refusable(outcome, lambda: read_given(folder / _IMAGE))
    # The report has no pixels: it is refused in any case, and so is nearly every PNG whose bytes were changed.
    beside = Outcome()
    refusable(beside, lambda: read_given(folder / _REPORT))
    refusable(beside, lambda: read_given(folder / _PNG))
    outcome.worse(ACCEPTED, beside.problem)
    return outcome


@cache
def _originals() -> dict[str, bytes]:
    import numpy as np

    from chestgan_core.publishing.dicom_export.ct_image import CtImages
    from chestgan_core.publishing.dicom_export.statements import facts_of
    from chestgan_core.publishing.dicom_export.structured_report import report_file
    from chestgan_core.publishing.reader.levels import sha256_of_levels
    from chestgan_core.publishing.reader.manifest import SetFacts
    from chestgan_core.publishing.writing.png import encode_pngs

    facts = SetFacts(
        *("tiny", "tiny", 6, 100, 16, -600, 1500, "ab" * 32, "phantoms", "none needed"),
        conditions=("position", "tumour"),
    )
    levels = np.random.default_rng(0).integers(0, 256, (16, 16)).astype(np.uint8)
    label = {"index": 0, "seed": 100, "class": "", "boxes": [[1.5, 2.5, 7, 9]], "position": 0.25}
    label |= {"sha256": sha256_of_levels(levels, 8)}
    images = CtImages(facts, "0123456789abcdef")
    image = facts_of(facts, "0123456789abcdef", label)
    data = images.file(levels, label)
    report = report_file(data, image, images.uids(image), [[1.5, 2.5, 7, 9]])
    return {_IMAGE: data, _REPORT: report, _PNG: encode_pngs(levels[None], 8)[0]}


def _other_facts(rng: random.Random, data: bytes) -> bytes:
    """Another line of JSON in the header, of the same length, so that nothing else is damaged."""
    start = data.index(b'{"bits"')
    end = data.index(b"}", start) + 1
    facts = json.loads(data[start:end])
    plain_data(rng, facts)
    line = json.dumps(facts).encode("utf-8", "replace")[: end - start]
    return data[:start] + line.ljust(end - start) + data[end:]

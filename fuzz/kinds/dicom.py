"""A folder of slices, some of them mutated: normalized, audited and cleaned. Every file is used or counted."""

import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fuzz.dicom_mutation import MUTATIONS
from fuzz.kind import LEFT_OUT, REFUSED, Outcome, command, refusable
from fuzz.mutation import several


def warm_up() -> None:
    """Import what reads DICOM, before the address space is limited."""
    import chestgan_core.dicom.audit
    import chestgan_core.dicom.pixels
    import chestgan_core.slices.normalization  # noqa: F401


def make(rng: random.Random, seeds: Path, folder: Path) -> dict[str, Any]:
    """Three slices of a patient, and three mutated ones in any transfer syntax."""
    (folder / "in").mkdir()
    patient = rng.choice(sorted((seeds / "patients").iterdir()))
    for path in sorted(patient.iterdir())[3:6]:
        shutil.copyfile(path, folder / "in" / path.name)
    sources = sorted((seeds / "slices").iterdir())
    for number in range(3):
        data = several(rng, rng.choice(sources).read_bytes(), MUTATIONS)
        (folder / "in" / f"mutated-{number}.dcm").write_bytes(data)
    return {"files": 6}


def read(folder: Path, facts: Mapping[str, Any]) -> Outcome:
    """normalize, audit, deidentify."""
    outcome = Outcome()
    normalized(outcome, folder, facts.get("files"))
    command(outcome, "audit", str(folder / "in"), allowed=(0, 1, 2, 3))
    command(outcome, "deidentify", str(folder / "in"), str(folder / "cleaned"), allowed=(0, 1, 2, 3))
    return outcome


def normalized(outcome: Outcome, folder: Path, files: int | None) -> None:
    """normalize what is in folder/in; files in = slices kept + left out. files: how many there are, None: unknown."""
    from chestgan_core.dicom.series import read_series

    answer = command(outcome, "normalize", str(folder / "in"), "--out", str(folder / "out.safetensors"))
    if answer is not None:
        kept, left_out, listed = answer["kept"], sum(answer["left_out"].values()), answer["files"]
    else:
        reading = refusable(outcome, lambda: read_series([folder / "in"]))
        if reading is None:
            return
        kept = sum(len(series.slices) for series in reading.series)
        left_out, listed = sum(reading.left_out.values()), reading.files
        outcome.worse(REFUSED)
    if listed != kept + left_out or files not in (None, listed):
        outcome.problem = (
            outcome.problem or f"{files} files, {listed} listed, {kept} used, {left_out} left out"
        )
    if left_out:
        outcome.worse(LEFT_OUT)

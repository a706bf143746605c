"""Sets in other forms: form.json, tables, tars, NPZ, DICOM. Headers of arrays are mutated in a zip that is intact."""

import io
import json
import random
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fuzz.kind import REFUSED, Outcome, command
from fuzz.kinds.archive import tar_field
from fuzz.mutation import encoded, plain_data, several, some_bytes, text, word

_HEADER = 128  # bytes of a .npy before its numbers


def warm_up() -> None:
    """Import what reads forms, before the address space is limited."""
    import chestgan_core.publishing.dicom_export.reading
    import chestgan_core.publishing.forms.convert  # noqa: F401


def make(rng: random.Random, seeds: Path, folder: Path) -> dict[str, Any]:
    """A form of a set with one file mutated."""
    form = rng.choice(sorted(path.name for path in (seeds / "forms").iterdir()))
    target = folder / "form"
    shutil.copytree(seeds / "forms" / form, target)
    # The description decides what the rest must be.
    names = sorted(path.name for path in target.iterdir() if path.name[0] != ".")
    path = target / rng.choice([*names, "form.json", "form.json"])
    path.write_bytes(_mutated(rng, path.name, path.read_bytes()))
    return {}


def _mutated(rng: random.Random, name: str, data: bytes) -> bytes:
    if name == "form.json" and rng.random() < 0.85:
        fields = json.loads(data)
        for _ in range(rng.choice((1, 1, 2))):
            plain_data(rng, fields)
        return json.dumps(fields).encode()
    if name.endswith(".npz") and rng.random() < 0.7:
        return _npz(rng, data)
    if name.endswith(".csv") and rng.random() < 0.7:
        return _cell(rng, data)
    return several(rng, data, (tar_field, some_bytes) if name.endswith(".tar") else (some_bytes,))


def _npz(rng: random.Random, data: bytes) -> bytes:
    """One array with another header or other numbers, in a zip whose sizes and checksums fit."""
    with zipfile.ZipFile(io.BytesIO(data)) as npz:
        arrays = {name: npz.read(name) for name in npz.namelist()}
    name = rng.choice(sorted(arrays))
    array = arrays[name]
    if rng.random() < 0.7:
        for _ in range(rng.choice((1, 1, 3))):
            at = rng.randrange(min(_HEADER, len(array)))
            array = (
                array[:at] + rng.choice((b"(", b")", b"{", b"'", b"9", b"O", b"\0", b",")) + array[at + 1 :]
            )
    else:
        array = word(rng, array, rng.randrange(len(array)))
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as npz:
        for one, content in arrays.items():
            npz.writestr(one, array if one == name else content)
    return target.getvalue()


def _cell(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    cells = lines[at].split(b",")
    cells[rng.randrange(len(cells))] = encoded(text(rng))
    lines[at] = b",".join(cells)
    return b"\n".join(lines)


def read(folder: Path, facts: Mapping[str, Any]) -> Outcome:
    """`sets convert`, which reads and checks all images and labels."""
    outcome = Outcome()
    arguments = ("sets", "convert", str(folder / "form"), "--to", "tar", "--out", str(folder / "out"))
    if command(outcome, *arguments) is None:
        outcome.worse(REFUSED)
        if (folder / "out" / "form.json").exists():
            outcome.worse(REFUSED, "refused, and wrote a form.json")
    return outcome

"""Slices in zips, tars and compressed files that are mutated, and folders with links and pipes."""

import gzip
import io
import os
import random
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fuzz.kind import Outcome, command
from fuzz.kinds import dicom
from fuzz.kinds.dicom import normalized
from fuzz.mutation import EXTREME_WORDS, several, some_bytes, text, word

warm_up = dicom.warm_up


def make(rng: random.Random, seeds: Path, folder: Path) -> dict[str, Any]:
    """An archive of some slices of a patient, mutated, beside a good slice and perhaps something that is no file."""
    inside = folder / "in"
    inside.mkdir()
    patient = rng.choice(sorted((seeds / "patients").iterdir()))
    slices = [path.read_bytes() for path in sorted(patient.iterdir())[3:9]]
    (inside / "good.dcm").write_bytes(slices.pop())
    data, suffix = _archive(rng, slices)
    if rng.random() < 0.3:
        data, suffix = _nested(rng, data, suffix)
    kinds = {"zip": (zip_field, zip_field, some_bytes), "tar": (tar_field, tar_field, some_bytes)}
    (inside / f"delivery.{suffix}").write_bytes(several(rng, data, kinds.get(suffix, (some_bytes,))))
    if rng.random() < 0.3:
        _special(rng, inside)
    return {}


def read(folder: Path, facts: Mapping[str, Any]) -> Outcome:
    """normalize and audit; every file of the walk is used or counted."""
    outcome = Outcome()
    normalized(outcome, folder, None)
    command(outcome, "audit", str(folder / "in"), allowed=(0, 1, 2, 3))
    return outcome


def _archive(rng: random.Random, slices: list[bytes]) -> tuple[bytes, str]:
    if rng.random() < 0.2:
        return gzip.compress(slices[0], mtime=0), "dcm.gz"
    names = [_name(rng, number) for number in range(len(slices))]
    stream = io.BytesIO()
    if rng.random() < 0.55:
        method = rng.choice(
            (
                zipfile.ZIP_STORED,
                zipfile.ZIP_DEFLATED,
                zipfile.ZIP_DEFLATED,
                zipfile.ZIP_BZIP2,
                zipfile.ZIP_LZMA,
            )
        )
        with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", method) as archive:
            warnings.simplefilter("ignore")  # names that are there twice
            for name, data in zip(names, slices, strict=True):
                archive.writestr(zipfile.ZipInfo(name), data, method)
        return stream.getvalue(), "zip"
    form = rng.choice((tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for name, data in zip(names, slices, strict=True):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            if rng.random() < 0.1:
                entry.type, entry.linkname = (
                    rng.choice((b"1", b"2", b"3", b"6", b"S", b"x", b"9")),
                    "/etc/passwd",
                )
            try:
                archive.addfile(entry, io.BytesIO(data))
            except (ValueError, UnicodeError):  # this format cannot hold the name
                continue
    return stream.getvalue(), "tar"


def _name(rng: random.Random, number: int) -> str:
    if rng.random() < 0.85:
        return f"a/{number}.dcm"
    name = rng.choice((f"a/{rng.randrange(2)}.dcm", "../x", "/x", "C:\\x", "a//b", ".", text(rng)[:200]))
    return name.replace("\0", "").replace("\ud800", "?") or "x"


def _nested(rng: random.Random, data: bytes, suffix: str) -> tuple[bytes, str]:
    if rng.random() < 0.4:
        return gzip.compress(data, mtime=0), f"{suffix}.gz"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(rng.choice((1, 2, 5))):
            archive.writestr(zipfile.ZipInfo(f"{number}.{suffix}"), data)
    return stream.getvalue(), "zip"


def zip_field(rng: random.Random, data: bytes) -> bytes:
    """A field of a local header, of the table of contents or of its end."""
    starts = [(b"PK\3\4", 30), (b"PK\1\2", 46), (b"PK\5\6", 22)]
    mark, size = rng.choice(starts)
    places = []
    at = data.find(mark)
    while at >= 0:
        places.append(at)
        at = data.find(mark, at + 1)
    if not places:
        return some_bytes(rng, data)
    place = rng.choice(places)
    if rng.random() < 0.2 and mark == b"PK\1\2":  # an entry of the table once more
        entry = data[
            place : place + 46 + sum(struct.unpack_from("<HHH", data.ljust(place + 46, b"\0"), place + 28))
        ]
        return data[:place] + entry * rng.choice((1, 30)) + data[place:]
    return word(rng, data, place + rng.randrange(4, size))


def tar_field(rng: random.Random, data: bytes) -> bytes:
    """A field of a header, mostly with the checksum that fits."""
    blocks = [at for at in range(0, len(data) - 511, 512) if data[at + 257 : at + 262] == b"ustar"]
    if not blocks:
        return some_bytes(rng, data)
    at = rng.choice(blocks)
    header = bytearray(data[at : at + 512])
    first, last = rng.choice(
        (
            (0, 100),
            (100, 108),
            (124, 136),
            (124, 136),
            (156, 157),
            (157, 257),
            (257, 265),
            (345, 500),
            (482, 483),
        )
    )
    new = rng.choice(
        (
            b"7" * 20,
            b"\x80" + struct.pack(">QI", 0, rng.choice(EXTREME_WORDS)),
            b"\xff" * 20,
            b"\0" * 100,
            b"00000000000\0",
            rng.randbytes(20),
            bytes([rng.choice(b"0123456xgLKSVDM\0")]),
            b"../../x\0",
        )
    )
    header[first:last] = new[: last - first].ljust(last - first, b"\0")
    if rng.random() < 0.8:
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
    return data[:at] + bytes(header) + data[at + 512 :]


def _special(rng: random.Random, inside: Path) -> None:
    match rng.randrange(5):
        case 0:
            os.mkfifo(inside / "pipe")
        case 1:
            (inside / "out").symlink_to("/proc/self/root")
        case 2:
            (inside / "self").symlink_to(".")
        case 3:
            (inside / "loop").symlink_to("loop")
        case _:
            (inside / "again.dcm").symlink_to("good.dcm")

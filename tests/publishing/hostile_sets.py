"""A set whose files are changed by somebody who also makes manifest and labels fit."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from chestgan_core.publishing.reader.set_folder import SetFolder, read_set_folder

TAR, LABELS, MANIFEST = "images-0000.tar", "labels.parquet", "manifest.json"


def header(name: bytes, size: bytes, kind: bytes = b"0", link: bytes = b"") -> bytes:
    """A ustar header with a right checksum. size: the field, 12 bytes."""
    block = bytearray(512)
    for at, value in (
        (0, name),
        (100, b"0000644\0"),
        (124, size),
        (156, kind),
        (157, link),
        (257, b"ustar\x0000"),
    ):
        block[at : at + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block)


def file_entry(name: bytes, data: bytes) -> bytes:
    """A regular file as a tar has it."""
    return header(name, f"{len(data):011o}\0".encode()) + data + bytes(-len(data) % 512)


def entries(folder: SetFolder) -> list[bytes]:
    """Header and data of each file of the tar."""
    data, found, place = (folder.path / TAR).read_bytes(), [], 0
    while any(data[place : place + 512]):
        size = 512 + -(-int(data[place + 124 : place + 135], 8) // 512) * 512
        found.append(data[place : place + size])
        place += size
    return found


def replace_tar(folder: SetFolder, parts: Sequence[bytes], end: bytes = bytes(1024)) -> SetFolder:
    """The set with a tar of these entries."""
    (folder.path / TAR).write_bytes(b"".join(parts) + end)
    return sealed(folder.path)


def replace_labels(folder: SetFolder, change: Callable[[pa.Table], pa.Table]) -> SetFolder:
    """The set with changed labels."""
    path = folder.path / LABELS
    pq.write_table(change(pq.read_table(path)), path)
    return sealed(folder.path)


def sealed(path: Path) -> SetFolder:
    """The set with a manifest that has the sizes and digests of the files as they are."""
    manifest = json.loads((path / MANIFEST).read_bytes())
    for item in manifest["objects"]:
        data = (path / Path(item["key"]).name).read_bytes()
        item.update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    (path / MANIFEST).write_text(json.dumps(manifest))
    return read_set_folder(path)


def add_file(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    """Add one file with time 0, owner 0 and mode 0644."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o644
    archive.addfile(entry, io.BytesIO(data))

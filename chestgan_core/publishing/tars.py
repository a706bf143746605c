"""Tar archives whose bytes depend on the files in them alone, and the places of these for reading one by one.

In: names and bytes of files. Out: tar entries without times, owners or names of machines; offsets.
"""

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chestgan_core.errors import DamagedObject


@dataclass(frozen=True)
class Member:
    """Where the bytes of one file lie inside a tar."""

    tar: Path
    name: str
    offset: int
    bytes: int


def add_file(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    """Add one file with time 0, owner 0 and mode 0644."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o644
    archive.addfile(entry, io.BytesIO(data))


def members(path: Path) -> Iterator[Member]:
    """The files of an uncompressed tar in order, without reading their content. Raises DamagedObject."""
    try:
        with tarfile.open(path, mode="r:") as archive:
            for entry in archive:
                if entry.isfile():
                    yield Member(path, entry.name, entry.offset_data, entry.size)
    except (tarfile.TarError, OSError) as error:
        raise DamagedObject(path, f"is not a complete tar ({error})", "fetch the set again") from error


def read_member(member: Member) -> bytes:
    """The bytes of one file. Opens the tar anew: nothing has to survive a fork of data loader workers."""
    with member.tar.open("rb") as file:
        file.seek(member.offset)
        return file.read(member.bytes)

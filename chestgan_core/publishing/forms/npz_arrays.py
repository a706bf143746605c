"""Arrays in an NPZ, written and read row by row: a set may be larger than memory, and an NPZ may be a stranger's.

In: rows, or a file. Out: a zip of .npy, as numpy.savez writes it; or rows of arrays whose type and shape were compared
with what they must be before anything is allocated for them. What needs pickle is refused by its type.
"""

import math
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Self, TypeAlias

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from chestgan_core.dicom.archive_members import BadArchive
from chestgan_core.dicom.file_walk import READ_ERRORS
from chestgan_core.dicom.zip_archive import ZipArchive
from chestgan_core.errors import DamagedObject
from chestgan_core.local.files import ZIP_EPOCH, open_regular
from chestgan_core.publishing.forms.items import REMEDY

Array: TypeAlias = NDArray[Any]
_MAX_HEADER = 1_000  # characters of the .npy header of an array without fields


class NpzWriter:
    """An NPZ that is being written. Stored without compression: equal arrays give equal bytes with every zlib."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED)

    def add(self, name: str, array: Array) -> None:
        """A whole array."""
        self.add_rows(name, array.dtype, array.shape, [array] if array.size else [])

    def add_rows(
        self, name: str, dtype: "np.dtype[Any]", shape: tuple[int, ...], rows: Iterable[Array]
    ) -> None:
        """An array of this type and shape, whose rows follow one after the other."""
        header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        entry = zipfile.ZipInfo(f"{name}.npy", ZIP_EPOCH)
        with self._zip.open(entry, "w", force_zip64=True) as stream:
            npy.write_array_header_1_0(stream, header)
            for row in rows:
                stream.write(np.ascontiguousarray(row, dtype).tobytes())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._zip.close()  # writes the table of contents


class NpzReader:
    """An open NPZ."""

    def __init__(self, path: Path, archive: ZipArchive) -> None:
        self._path, self._archive = path, archive
        self._members = {member.name: at for at, member in enumerate(archive.members)}
        if len(self._members) != len(archive.members):
            raise DamagedObject(path, "has two arrays of one name", REMEDY)

    def rows(self, name: str, dtype: "np.dtype[Any]", shape: tuple[int | None, ...]) -> Iterator[Array]:
        """The rows of an array of this type and shape, first to last. None: of any length.

        Raises DamagedObject: there is no such array, it is of another type or shape, or damaged; the latter two also
        while rows are read.
        """
        where = f"{self._path}: {name}"
        if (at := self._members.get(f"{name}.npy")) is None:
            raise DamagedObject(where, "is missing", REMEDY)
        try:
            stream = self._archive.open(at)
            found, fortran, stored = _header(stream)
        except (*READ_ERRORS, BadArchive) as error:
            raise DamagedObject(where, f"cannot be read ({error})", REMEDY) from error
        fits = len(found) == len(shape) and all(map(_fits, found, shape))
        if stored != dtype or not fits or fortran:
            shown = ", ".join("any" if want is None else str(want) for want in shape)
            cause = f"is {stored} of {', '.join(map(str, found))}, not {dtype} of {shown}"
            raise DamagedObject(where, cause, REMEDY)
        return _rows(stream, dtype, found, where)


def _fits(found: int, wanted: int | None) -> bool:
    return wanted is None or found == wanted


def _rows(stream: IO[bytes], dtype: "np.dtype[Any]", shape: tuple[int, ...], where: str) -> Iterator[Array]:
    size = dtype.itemsize * math.prod(shape[1:])
    try:
        for _ in range(shape[0]):
            row = stream.read(size)
            if len(row) != size:
                raise DamagedObject(where, "is shorter than its header says", REMEDY)
            yield np.frombuffer(row, dtype).reshape(shape[1:])
        if stream.read(1):
            raise DamagedObject(where, "is longer than its header says", REMEDY)
    except (*READ_ERRORS, BadArchive) as error:
        raise DamagedObject(where, f"cannot be read ({error})", REMEDY) from error


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, "np.dtype[Any]"]:
    """Shape, whether columns come first, and type. Raises ValueError: of another version, or damaged."""
    try:
        version = npy.read_magic(stream)
        if version != (1, 0):
            raise ValueError(f"of version {version[0]}.{version[1]} of the format of arrays")
        shape, fortran, dtype = npy.read_array_header_1_0(stream, max_header_size=_MAX_HEADER)
    except READ_ERRORS:
        raise
    except Exception as error:  # NumPy lets through what the parser of Python raises
        raise ValueError("its header is damaged") from error
    if any(length < 0 for length in shape):
        raise ValueError("a length below 0")
    return shape, fortran, dtype


@contextmanager
def open_npz(path: Path) -> Iterator[NpzReader]:
    """Read an NPZ. Raises DamagedObject: none, or a zip that cannot be read within bounds."""
    with ExitStack() as stack:
        try:
            archive = ZipArchive(stack.enter_context(open_regular(path)))
        except (*READ_ERRORS, BadArchive) as error:
            raise DamagedObject(path, f"is not an NPZ that can be read ({error})", REMEDY) from error
        yield NpzReader(path, archive)

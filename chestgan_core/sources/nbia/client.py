"""NBIA, the server of TCIA, through its API v4: lists of series, and series as zips. No account is needed.

In: the address of the service, a collection, a series. Out: rows as the API gives them, and zips whose every entry was
checked against its CRC and against the MD5 list that the server puts beside it. Parameters and entry names as in the
server's source (CBIIT/NBIA-TCIA, restAPI/v4).
"""

import csv
import hashlib
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chestgan_core.errors import SourceRefused
from chestgan_core.sources.download.http import BLOCK, download, get_json, plain_url
from chestgan_core.sources.download.retry import Damaged, persistently

MD5_LIST = "md5hashes.csv"
LICENCE = "LICENSE"
# The server has no parameter but the series here: another one is answered by 400.
_DELIVERY = "getImageWithMD5Hash"


@dataclass(frozen=True)
class NbiaClient:
    """endpoint: https://server/nbia-api/services/v4."""

    endpoint: str

    def series(self, collection: str) -> list[dict[str, Any]]:
        """Every series of a collection as getSeries tells it; fields without a value are missing.

        Raises SourceUnreachable, SourceRefused: also where the collection has no series, as the server does not
        tell that from one that it does not know.
        """
        rows = self._rows("getSeries", {"Collection": collection, "format": "json"})
        if not rows:
            raise SourceRefused(
                f"collection {collection}",
                f"{plain_url(self.endpoint)} has no series of it",
                "correct the collection's name in the dataset",
            )
        return rows

    def size(self, series_uid: str) -> tuple[int, int]:
        """Bytes and files of a series, (0, 0) where the server does not know it."""
        rows = self._rows("getSeriesSize", {"SeriesInstanceUID": series_uid, "format": "json"})
        if not rows:
            return 0, 0
        return int(float(rows[0].get("TotalSizeInBytes", 0))), int(float(rows[0].get("ObjectCount", 0)))

    def fetch(
        self, series_uid: str, path: Path, images: int = 0, received: Callable[[int], None] | None = None
    ) -> None:
        """The zip of a series at `path`, verified. A zip that is damaged is fetched a second time.

        images: how many DICOM files it must hold, 0: not known. received: gets the bytes of each block that came.
        Raises SourceUnreachable, SourceRefused: not there, damaged twice; both name the series.
        """
        what = f"series {series_uid}"

        def one_try() -> None:
            url = f"{self.endpoint.rstrip('/')}/{_DELIVERY}"
            download(url, path, {"SeriesInstanceUID": series_uid}, what=what, received=received)
            try:
                verify(path, images)
            except Damaged:
                path.unlink()
                raise

        persistently(what, one_try)

    def _rows(self, service: str, params: dict[str, str]) -> list[dict[str, Any]]:
        url = f"{self.endpoint.rstrip('/')}/{service}"
        rows = get_json(url, params)
        if rows is None:
            return []
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise SourceRefused(
                plain_url(url), "the answer is no list of rows", "check the endpoint of the dataset"
            )
        return rows


def verify(path: Path, images: int) -> None:
    """Read a delivered zip through: CRCs, MD5 list, number of DICOM files. Raises Damaged.

    A server that fails midway ends the zip as if nothing had happened: it can be read, but has no MD5 list.
    """
    from chestgan_core.dicom.file_walk import READ_ERRORS

    try:
        with zipfile.ZipFile(path) as archive:
            names = dicom_names(archive)
            if MD5_LIST not in archive.namelist():
                raise Damaged("the zip ends before the list of its checksums")
            expected = _md5_list(archive.read(MD5_LIST))
            for name in names:
                if expected.get(name) != _md5(archive, name):
                    raise Damaged("a file of the zip is not what the list of checksums says")
    except READ_ERRORS as error:
        raise Damaged("the zip is damaged or cut short") from error
    missing = expected.keys() - set(names) - {LICENCE}
    if missing or (images and len(names) != images):
        raise Damaged(f"the zip holds {len(names)} of {images or len(expected)} files")


def dicom_names(archive: zipfile.ZipFile) -> list[str]:
    """The entries that are images, in the order of their names."""
    return sorted(
        entry.filename
        for entry in archive.infolist()
        if not entry.is_dir() and Path(entry.filename).name not in (MD5_LIST, LICENCE)
    )


def _md5_list(data: bytes) -> dict[str, str]:
    rows = csv.reader(io.StringIO(data.decode("utf-8-sig")))
    next(rows, None)  # Filename,MD5Hash
    return {row[0].strip(): row[1].strip().lower() for row in rows if len(row) >= 2}


def _md5(archive: zipfile.ZipFile, name: str) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with archive.open(name) as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()

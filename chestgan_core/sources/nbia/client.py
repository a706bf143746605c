"""NBIA, the server of TCIA, through its API v4: lists of series, and series as zips. No account is needed.

In: the address of the service, a collection, a series. Out: rows as the API returns them, and zips in which every entry
was checked against its CRC and against the list of MD5 sums that the server adds. Parameters and entry names follow the
source of the server (CBIIT/NBIA-TCIA, restAPI/v4).
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
from chestgan_core.sources.download.retry import DamagedDownload, with_retries

MD5_LIST = "md5hashes.csv"
LICENCE = "LICENSE"
# This service accepts no parameter but the series; it answers any other with 400.
_DELIVERY = "getImageWithMD5Hash"
_MAX_MD5_LIST_BYTES = 16 * 1024**2  # a line for each file of one series


@dataclass(frozen=True)
class NbiaClient:
    """endpoint: https://server/nbia-api/services/v4."""

    endpoint: str

    def series(self, collection: str) -> list[dict[str, Any]]:
        """Every series of a collection as getSeries returns it; fields without a value are missing.

        Raises SourceUnreachable, SourceRefused: also for a collection without series, which the server does not
        distinguish from an unknown one.
        """
        rows = self._rows("getSeries", {"Collection": collection, "format": "json"})
        if not rows:
            raise SourceRefused(
                f"collection {collection}",
                f"{plain_url(self.endpoint)} lists no series of it",
                "correct source.collection of the dataset",
            )
        return rows

    def size(self, series_uid: str) -> tuple[int, int]:
        """Bytes and number of files of a series, (0, 0) if the server does not know it."""
        rows = self._rows("getSeriesSize", {"SeriesInstanceUID": series_uid, "format": "json"})
        if not rows:
            return 0, 0
        return int(float(rows[0].get("TotalSizeInBytes", 0))), int(float(rows[0].get("ObjectCount", 0)))

    def fetch(
        self, series_uid: str, path: Path, images: int = 0, received: Callable[[int], None] | None = None
    ) -> None:
        """Write the zip of a series to `path`, verified. A damaged zip is fetched a second time.

        images: how many DICOM files it must hold, 0: unknown. received: is called with the number of bytes of each
        block. Raises SourceUnreachable, SourceRefused (unknown to the server, or damaged twice); both name the series.
        """
        what = f"series {series_uid}"

        def attempt() -> None:
            url = f"{self.endpoint.rstrip('/')}/{_DELIVERY}"
            download(url, path, {"SeriesInstanceUID": series_uid}, what=what, received=received)
            try:
                verify(path, images)
            except DamagedDownload:
                path.unlink()
                raise

        with_retries(what, attempt)

    def _rows(self, service: str, params: dict[str, str]) -> list[dict[str, Any]]:
        url = f"{self.endpoint.rstrip('/')}/{service}"
        rows = get_json(url, params)
        if rows is None:
            return []
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise SourceRefused(
                plain_url(url), "the answer is not a list of rows", "check the endpoint of the dataset"
            )
        return rows


def verify(path: Path, images: int) -> None:
    """Check all of a delivered zip: CRCs, MD5 sums, number of DICOM files. Raises DamagedDownload.

    A server that fails midway still closes the zip properly: it can be read, but has no list of MD5 sums.
    """
    from chestgan_core.dicom.file_walk import READ_ERRORS
    from chestgan_core.dicom.zip_archive import open_zip

    try:
        with open_zip(path) as archive:
            names = dicom_names(archive)
            if MD5_LIST not in archive.namelist():
                raise DamagedDownload("the zip ends before its list of checksums")
            with archive.open(MD5_LIST) as stream:
                expected = _md5_list(stream.read(_MAX_MD5_LIST_BYTES))
            for name in names:
                if expected.get(name) != _md5(archive, name):
                    raise DamagedDownload(
                        "a file in the zip does not have the checksum that is listed for it"
                    )
    except READ_ERRORS as error:
        raise DamagedDownload("the zip is damaged or truncated") from error
    missing = expected.keys() - set(names) - {LICENCE}
    if missing or (images and len(names) != images):
        raise DamagedDownload(f"the zip holds {len(names)} of {images or len(expected)} files")


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

"""NBIA, API v4: the lists of series and their zips, as the server's source describes them.

In: a collection. Out: the address for NbiaConfig.endpoint. Like the real server it refuses unknown parameters, sends an
empty answer when it finds nothing, and creates zips while it sends them: in chunks, without a length.
(CBIIT/NBIA-TCIA, restAPI/v4/V4_getSeries.java and V4_getImageWithMD5Hash.java.)
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

from tests.standins.collection import LICENCE_TEXT, StandInCollection, StandInSeries
from tests.standins.faults import Fault, Faults
from tests.standins.server import BLOCK, Answer, StandInServer

BASE = "/nbia-api/services/v4"
_KNOWN = {
    "getSeries": {"Collection", "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "Modality", "format"},
    "getSeriesSize": {"SeriesInstanceUID", "format"},
    "getUpdatedSeries": {"fromDate", "format"},
    "getImageWithMD5Hash": {"SeriesInstanceUID"},
}


@contextmanager
def nbia_stand_in(collection: StandInCollection, faults: Faults | None = None) -> Iterator[StandInServer]:
    """A server of the collection; each request sees its current state."""

    def answer(path: str, headers: Mapping[str, str]) -> Answer:
        return _answer(collection, path)

    with StandInServer(answer, faults or Faults(), _damage, BASE) as server:
        yield server


def _answer(collection: StandInCollection, path: str) -> Answer:
    parts = urlsplit(path)
    name = parts.path.removeprefix(BASE + "/")
    params = {key: values[0] for key, values in parse_qs(parts.query).items()}
    if name not in _KNOWN:
        return _text(404, b"no such service")
    if unknown := params.keys() - _KNOWN[name]:
        return _text(400, f"Invalid query parameter: {sorted(unknown)}".encode())
    uid = params.get("SeriesInstanceUID", "")
    if name == "getImageWithMD5Hash":
        chosen = [series for series in collection.series if series.uid == uid]
        if not chosen:
            return _text(
                400, b"The user has not been granted the access to image with given SeriesInstanceUID"
            )
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f'attachment; filename="{uid}.zip"',
        }
        return Answer(200, headers, _blocks(_zip(chosen[0])), None, uid)
    rows = [series.nbia_row(collection) for series in collection.series]
    if name == "getSeriesSize":
        found = [series for series in collection.series if series.uid == uid]
        return _json([{"TotalSizeInBytes": float(s.bytes), "ObjectCount": len(s.files)} for s in found])
    kept = [
        row
        for row in rows
        if all(row.get(key) == params[key] for key in params.keys() - {"format", "fromDate"})
    ]
    return _json(kept)


def _zip(series: StandInSeries) -> bytes:
    """Files under numbers, in the order of the server's table, then the licence and the list of checksums."""
    stream = io.BytesIO()
    lines = ["Filename,MD5Hash"]
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number, (_, path) in enumerate(series.objects(), 1):
            name, data = f"{number:08d}.dcm", path.read_bytes()
            archive.writestr(name, data)
            lines.append(f"{name},{hashlib.md5(data).hexdigest()}")
        archive.writestr("LICENSE", LICENCE_TEXT)
        archive.writestr("md5hashes.csv", "\n".join(lines) + "\n")
    return stream.getvalue()


def _damage(answer: Answer, fault: Fault) -> Answer:
    data = b"".join(answer.body)
    match fault:
        case Fault.BROKEN_ARCHIVE:
            data = data[: len(data) // 2]
        case Fault.UNFINISHED:
            data = _rezipped(data, half=True)
        case Fault.WRONG_MD5:
            data = _rezipped(data, spoil=True)
    return replace(answer, body=_blocks(data))


def _rezipped(data: bytes, half: bool = False, spoil: bool = False) -> bytes:
    """half: only the first files, without checksums. spoil: the second file has another last byte and a valid CRC."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(stream, "w") as target:
        names = source.namelist()
        for number, name in enumerate(names):
            content = source.read(name)
            if spoil and number == 1:
                content = content[:-1] + bytes([content[-1] ^ 0xFF])
            if not half or number < len(names) // 2:
                target.writestr(name, content)
    return stream.getvalue()


def _blocks(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), BLOCK):
        yield data[start : start + BLOCK]


def _json(rows: list[dict[str, object]]) -> Answer:
    data = json.dumps(rows).encode() if rows else b""
    return Answer(200, {"Content-Type": "application/json"}, iter([data]), len(data))


def _text(status: int, text: bytes) -> Answer:
    return Answer(status, {"Content-Type": "text/plain"}, iter([text]), len(text))

"""A collection of chest CT as the Imaging Data Commons and TCIA have it: series of phantom patients with their indexes.

In: a folder and a number of patients, or existing DICOM files and zips. Out: the files of each series, the index of the
Imaging Data Commons as Parquet, the rows of NBIA, and dataset files for stand-in servers.
"""

import hashlib
import uuid
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
import yaml

from chestgan_core.sources.phantom.patients import write_phantom

LICENCE = "CC BY 4.0"
LICENCE_TEXT = "Creative Commons Attribution 4.0 International; this collection was generated.\n"
DOI = "10.0000/stand-in"
ANALYSIS = "stand_in_annotations"  # that every structured report of a collection belongs to
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"


@dataclass(frozen=True)
class StandInSeries:
    """files: sorted by name. revision: how often its content changed. header: of its first file."""

    uid: str
    patient: str
    files: tuple[Path, ...]
    header: pydicom.Dataset = field(compare=False, repr=False)
    revision: int = 0

    @cached_property
    def folder(self) -> str:
        """crdc_series_uuid: one per content, so that many tests can share a bucket."""
        content = hashlib.sha256()
        for path in self.files:
            content.update(hashlib.sha256(path.read_bytes()).digest())
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.uid}/{self.revision}/{content.hexdigest()}"))

    @property
    def bytes(self) -> int:
        return sum(path.stat().st_size for path in self.files)

    def objects(self) -> list[tuple[str, Path]]:
        """Key in the bucket and file, sorted by key: an order that is unrelated to that of the slices."""
        named = (
            (f"{self.folder}/{uuid.uuid5(uuid.NAMESPACE_OID, f'{self.folder}/{number}')}.dcm", path)
            for number, path in enumerate(self.files)
        )
        return sorted(named)

    def index_row(self, collection: "StandInCollection") -> dict[str, Any]:
        """As in the index of the Imaging Data Commons, all 31 columns."""
        head, sop_class = self.header, pydicom.uid.UID(_text(self.header, "SOPClassUID"))
        syntax = head.file_meta.TransferSyntaxUID
        return {
            "collection_id": collection.name,
            "analysis_result_id": ANALYSIS if _text(head, "Modality") == "SR" else None,
            "PatientID": self.patient,
            "SeriesInstanceUID": self.uid,
            "StudyInstanceUID": _text(head, "StudyInstanceUID"),
            "source_DOI": DOI,
            "PatientAge": _text(head, "PatientAge"),
            "PatientSex": _text(head, "PatientSex"),
            "StudyDate": "2000-01-01",
            "StudyDescription": _text(head, "StudyDescription"),
            "BodyPartExamined": _text(head, "BodyPartExamined"),
            "Modality": _text(head, "Modality"),
            "SOPClassUID": str(sop_class),
            "sop_class_name": sop_class.name,
            "TransferSyntaxUID": str(syntax),
            "transfer_syntax_name": syntax.name,
            "PhotometricInterpretation": _text(head, "PhotometricInterpretation"),
            "PixelRepresentation": _text(head, "PixelRepresentation"),
            "Manufacturer": _text(head, "Manufacturer"),
            "ManufacturerModelName": _text(head, "ManufacturerModelName"),
            "SeriesDate": "2000-01-01",
            "SeriesDescription": _text(head, "SeriesDescription"),
            "SeriesNumber": _text(head, "SeriesNumber"),
            "instanceCount": len(self.files),
            "license_short_name": LICENCE,
            "series_init_idc_version": 1,
            "series_revised_idc_version": 1 + self.revision,
            "aws_bucket": collection.bucket,
            "crdc_series_uuid": self.folder,
            "series_aws_url": f"s3://{collection.bucket}/{self.folder}/*",
            "series_size_MB": self.bytes / 1e6,
        }

    def nbia_row(self, collection: "StandInCollection") -> dict[str, object]:
        """As getSeries returns it; fields without a value are omitted, as by the server."""
        head = self.header
        fields: dict[str, object] = {
            "SeriesInstanceUID": self.uid,
            "StudyInstanceUID": _text(head, "StudyInstanceUID"),
            "Modality": _text(head, "Modality"),
            "SeriesDate": "2000-01-01 00:00:00.0",
            "SeriesDescription": _text(head, "SeriesDescription"),
            "BodyPartExamined": _text(head, "BodyPartExamined"),
            "SeriesNumber": _text(head, "SeriesNumber"),
            "Collection": collection.nbia_name,
            "PatientID": self.patient,
            "Manufacturer": _text(head, "Manufacturer"),
            "ManufacturerModelName": _text(head, "ManufacturerModelName"),
            "ImageCount": len(self.files),
            "TimeStamp": f"2020-12-{1 + self.revision:02d} 10:36:44.0",
            "LicenseName": "Creative Commons Attribution 4.0 International License",
            "LicenseURI": "https://creativecommons.org/licenses/by/4.0/",
            "DataDescriptionURI": f"https://doi.org/{DOI}",
            "FileSize": self.bytes,
            "DateReleased": "2020-12-22 00:00:00.0",
            "StudyDesc": _text(head, "StudyDescription"),
            "StudyDate": "2000-01-01 00:00:00.0",
            "ThirdPartyAnalysis": "NO",
        }
        return {name: value for name, value in fields.items() if value != ""}


class StandInCollection:
    """series: every one, sorted by patient and UID."""

    name, nbia_name, bucket = "stand_in", "Stand-In", "idc-stand-in"

    def __init__(
        self, folder: Path, patients: int = 20, slices: int = 16, size: int = 64, seed: int = 0
    ) -> None:
        """Phantom patients 1 to `patients`; patient 1 also has a localizer. About 0.5 s each at 16 slices of 64."""
        self.folder, self._slices, self._size, self._seed = folder, slices, size, seed
        folder.mkdir(parents=True, exist_ok=True)
        self.series: list[StandInSeries] = []
        self._patients = 0
        self.add_patients(patients)

    @classmethod
    def of_files(cls, folder: Path, paths: Iterable[Path]) -> "StandInCollection":
        """The series in DICOM files and zips. Files of zips are unpacked below `folder` under numbers."""
        collection = cls(folder, patients=0)
        found: list[Path] = []
        for number, path in enumerate(sorted(paths)):
            if path.suffix != ".zip":
                found.append(path)
                continue
            with zipfile.ZipFile(path) as archive:
                for entry in archive.namelist():
                    if entry.endswith(".dcm"):
                        target = folder / f"{number:03d}-{entry.replace('/', '-')}"
                        target.write_bytes(archive.read(entry))
                        found.append(target)
        collection._add(found)
        return collection

    def add_patients(self, count: int = 1) -> list[StandInSeries]:
        """More patients; their series."""
        files: list[Path] = []
        for number in range(self._patients + 1, self._patients + count + 1):
            written = write_phantom(self.folder, number, self._seed, self._size, self._slices)
            files += written.folder.iterdir()
        self._patients += count
        return self._add(files)

    def revise(self, series: StandInSeries) -> StandInSeries:
        """New content under the same UID, as when an archive corrects a series; returns the revised series."""
        folder = self.folder / f"revision-{series.folder}"
        folder.mkdir()
        files = []
        for path in series.files:
            dataset = pydicom.dcmread(path)
            dataset.SeriesDescription = f"{_text(dataset, 'SeriesDescription')} r{series.revision + 1}"
            dataset.save_as(folder / path.name)
            files.append(folder / path.name)
        header = pydicom.dcmread(files[0], stop_before_pixels=True)
        revised = replace(series, files=tuple(files), header=header, revision=series.revision + 1)
        self.series[self.series.index(series)] = revised
        return revised

    def add_series(self, series: StandInSeries) -> StandInSeries:
        """A second reconstruction: the same slices under other UIDs; returns it."""
        folder = self.folder / f"second-{series.folder}"
        folder.mkdir()
        for path in series.files:
            dataset = pydicom.dcmread(path)
            dataset.SeriesInstanceUID = _second(series.uid)
            dataset.SOPInstanceUID = _second(dataset.SOPInstanceUID)
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            dataset.save_as(folder / path.name)
        return self._add(folder.iterdir())[0]

    def replace_files(self, series: StandInSeries, files: tuple[Path, ...]) -> StandInSeries:
        """The same series with other files, which may be those of another series; returns it."""
        changed = replace(series, files=files)
        self.series[self.series.index(series)] = changed
        return changed

    def of(self, patient: str) -> list[StandInSeries]:
        return [series for series in self.series if series.patient == patient]

    def chest_series(self) -> list[StandInSeries]:
        """Those that a catalog selects: all but localizers."""
        return [series for series in self.series if len(series.files) > 1]

    def series_of_folder(self, folder: str) -> str:
        """UID of the series that a folder of the bucket holds, "" for none."""
        return next((series.uid for series in self.series if series.folder == folder), "")

    def write_index(self, path: Path) -> Path:
        """The index of the Imaging Data Commons, which also has a series of another collection."""
        rows = [series.index_row(self) for series in self.series]
        other = {**rows[0], "collection_id": "another", "SeriesInstanceUID": "2.25.1", "PatientID": "another"}
        pq.write_table(pa.Table.from_pylist([other, *rows]), path)
        return path

    def write_idc_dataset(self, datasets: Path, name: str, endpoint: str, **changes: Any) -> Path:
        """`<name>.yaml`, with the current index beside it. changes: fields of Dataset."""
        datasets.mkdir(parents=True, exist_ok=True)
        index = self.write_index(datasets / f"{name}.parquet")
        source = {"kind": "idc", "collection": self.name, "index": str(index), "endpoint": endpoint}
        selection = {
            "sop_class": [CT_IMAGE_STORAGE], "photometric": ["MONOCHROME2"], "min_images": 2,
        }  # fmt: skip
        return _write_dataset(
            datasets / f"{name}.yaml", {"source": source, "selection": selection, **changes}
        )

    def write_nbia_dataset(self, datasets: Path, name: str, endpoint: str, **changes: Any) -> Path:
        """`<name>.yaml`. changes: fields of Dataset."""
        datasets.mkdir(parents=True, exist_ok=True)
        source = {"kind": "nbia", "collection": self.nbia_name, "endpoint": endpoint}
        fields = {"source": source, "selection": {"min_images": 2}, **changes}
        return _write_dataset(datasets / f"{name}.yaml", fields)

    def _add(self, files: Iterable[Path]) -> list[StandInSeries]:
        grouped: dict[str, list[Path]] = {}
        heads: dict[str, pydicom.Dataset] = {}
        for path in sorted(files):
            header = pydicom.dcmread(path, stop_before_pixels=True)
            grouped.setdefault(str(header.SeriesInstanceUID), []).append(path)
            heads.setdefault(str(header.SeriesInstanceUID), header)
        added = [
            StandInSeries(uid, _text(heads[uid], "PatientID"), tuple(paths), heads[uid])
            for uid, paths in grouped.items()
        ]
        self.series = sorted([*self.series, *added], key=lambda series: (series.patient, series.uid))
        return added


def _write_dataset(path: Path, fields: dict[str, Any]) -> Path:
    whole = {
        "title": "generated patients behind a stand-in server (no person was scanned)",
        "image_kind": "phantom",
        "licence": LICENCE,
        "citation": "Nobody. A Stand-In Collection.",
        "doi": DOI,
        "private": False,
        "slice_size": 64,
        **fields,
    }
    path.write_text(yaml.safe_dump(whole))
    return path


def _second(uid: str) -> str:
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, uid).int}"


def _text(header: pydicom.Dataset, keyword: str) -> str:
    value = header.get(keyword)
    return "" if value is None else str(value)

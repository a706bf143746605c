"""Small CT slices as DICOM files, for the tests of reading and normalizing."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

AXIAL = [1, 0, 0, 0, 1, 0]


def chest_hu(size: int = 128, lung: bool = True, trachea: bool = True, table: bool = True) -> np.ndarray:
    """A body with or without two lungs, a windpipe and a table below, in HU."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    hu = np.full((size, size), -1000, np.int16)
    hu[(x / 0.40) ** 2 + (y / 0.28) ** 2 < 1] = 40
    if lung:
        for side in (-0.18, 0.18):
            hu[((x - side) / 0.13) ** 2 + (y / 0.20) ** 2 < 1] = -850
    if trachea:
        hu[x**2 + (y + 0.1) ** 2 < 0.03**2] = -1000
    if table:
        hu[(np.abs(y - 0.40) < 0.012) & (np.abs(x) < 0.45)] = 200
        hu[(np.abs(y - 0.46) < 0.012) & (np.abs(x) < 0.45)] = 200
        hu[(np.abs(np.abs(x) - 0.45) < 0.012) & (np.abs(y - 0.43) < 0.04)] = 200
    return hu


def ct_slice(
    hu: np.ndarray | None = None, z: float = 0.0, series: str = "2.25.1", **changes: Any
) -> FileDataset:
    """A CT slice at height z, signed 16 bit, intercept -1024. Changes are attributes; None deletes one."""
    hu = chest_hu() if hu is None else hu
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = CTImageStorage, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = f"{series}.{round(z * 100) + 100000}"
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    attributes: dict[str, Any] = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "SeriesInstanceUID": series,
        "PatientID": "PH-A0001",
        "Modality": "CT",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "PhotometricInterpretation": "MONOCHROME2",
        "SamplesPerPixel": 1,
        "Rows": hu.shape[0],
        "Columns": hu.shape[1],
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1,
        "RescaleSlope": 1,
        "RescaleIntercept": -1024,
        "ImageOrientationPatient": AXIAL,
        "ImagePositionPatient": [-180.0, -180.0, z],
        "PixelSpacing": [2.8, 2.8],
        "SliceThickness": 3,
        "PixelData": (hu.astype(np.int32) + 1024).astype("<i2").tobytes(),
    }
    for keyword, value in (attributes | changes).items():
        if value is not None:
            setattr(data, keyword, value)
    return data


def as_bytes(data: Dataset) -> bytes:
    """The file that the dataset makes."""
    stream = io.BytesIO()
    data.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def write_series(folder: Path, count: int = 3, **changes: Any) -> Path:
    """A series whose file names do not follow the positions; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        name = f"{(index * 7) % count:03d}"
        (folder / name).write_bytes(as_bytes(ct_slice(z=3.0 * index, **changes)))
    return folder

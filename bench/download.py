"""A series from a bucket: ours (checked, packed into a zip on the disk) against the plain boto3 transfer manager.

The bucket is a SeaweedFS of this machine, which takes cores from both. 64 MiB in 128 files. The
baseline writes the files and checks nothing.
"""

import io
import json
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import botocore
from boto3.s3.transfer import TransferConfig, create_transfer_manager
from botocore.config import Config

from bench.ratio import Ratio
from chestgan_core.config.dataset import dataset_named
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.sources.archive.packing import check_series, pack_series
from chestgan_core.sources.download.download_progress import DownloadProgress
from chestgan_core.sources.idc.source import IdcConfig
from chestgan_core.sources.series_rows import SELECTED, SeriesRow
from chestgan_core.sources.source import Source, open_source
from chestgan_core.store.embedded import EmbeddedStore

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FILES, FILE_BYTES, ROUNDS = 128, 512 * 1024, 9
BUCKET, PREFIX, UID = "bench", "3c7b11e4-95fb-456e-a53c-ac7ce385f2a0", "2.25.1"


def measure() -> list[Ratio]:
    """MiB per second, the median of alternating downloads."""
    with (
        tempfile.TemporaryDirectory(prefix="chestgan-bench-") as scratch,
        _bucket(Path(scratch)) as endpoint,
    ):
        config = IdcConfig(kind="idc", collection="bench", endpoint=endpoint)
        dataset = dataset_named("lung_pet_ct_dx").model_copy(update={"source": config})
        source = open_source(dataset, Path(scratch))
        plain = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            config=Config(signature_version=botocore.UNSIGNED, max_pool_connections=20),
        )
        target = Path(scratch) / "target"
        _timed(lambda: _plainly(plain, target), target)  # connections, and what SeaweedFS keeps in memory
        _timed(lambda: _ours(source, target), target)
        ours, theirs = [], []
        for _ in range(ROUNDS):  # interleaved, so that a busy machine slows both
            theirs.append(_timed(lambda: _plainly(plain, target), target))
            ours.append(_timed(lambda: _ours(source, target), target))
    return [
        Ratio(
            name="download a series",
            ours=statistics.median(ours),
            theirs=statistics.median(theirs),
            unit="MiB/s",
            target=0.8,
            note=f"{FILES} files of {FILE_BYTES // 1024} KiB, checked and zipped, against the plain boto3 transfer "
            f"manager, median of {ROUNDS}",
        )
    ]


def _timed(download: Callable[[], None], target: Path) -> float:
    target.mkdir()
    started = time.perf_counter()
    download()
    seconds = time.perf_counter() - started
    shutil.rmtree(target)
    return FILES * FILE_BYTES / 2**20 / seconds


def _plainly(client: "S3Client", target: Path) -> None:
    with create_transfer_manager(client, TransferConfig()) as manager:
        keys = [item["Key"] for item in client.list_objects_v2(Bucket=BUCKET, Prefix=PREFIX)["Contents"]]
        for future in [manager.download(BUCKET, key, str(target / Path(key).name)) for key in keys]:
            future.result()


def _ours(source: Source, target: Path) -> None:
    row = _row()
    with DownloadProgress("bench", FILES) as progress:
        packed = pack_series(source, row, target / "series.zip", target / "spool", progress)
    check_series(packed, row, Pseudonyms(), remote=True)


def _row() -> SeriesRow:
    return SeriesRow(
        patient="bench",
        key=UID,
        images=FILES,
        bytes=FILES * FILE_BYTES,
        revision=PREFIX,
        location=f"s3://{BUCKET}/{PREFIX}/",
        status=SELECTED,
    )


@contextmanager
def _bucket(folder: Path) -> Iterator[str]:
    """The address of a server with a bucket that everybody may read."""
    with EmbeddedStore(folder / "server") as server:
        client = server.store().client
        client.create_bucket(Bucket=BUCKET)
        statement = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": ["s3:GetObject", "s3:ListBucket"],
            "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
        }
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        client.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
        for number in range(FILES):
            client.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{number:04d}.dcm", Body=_slice(number))
        yield client.meta.endpoint_url


def _slice(number: int) -> bytes:
    """A DICOM file of FILE_BYTES with random pixels, which no server can compress away."""
    import pydicom
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    header = pydicom.Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = CTImageStorage
    header.SOPInstanceUID, header.SeriesInstanceUID = f"{UID}.{number + 1}", UID
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    header.PatientID, header.Modality = "bench", "CT"
    header.BitsAllocated = 16
    header.PixelData = random.Random(number).randbytes(FILE_BYTES - 1024)
    stream = io.BytesIO()
    header.save_as(stream, enforce_file_format=True)
    return stream.getvalue().ljust(FILE_BYTES, b"\0")

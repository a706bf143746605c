"""A real store with the slices of any number of patients: `fill_store`.

In: an embedded store, a dataset that lists the patients, their hashes. Out: for each patient the pointer and the
manifest of raw files, and pointer, manifest, rows and tensors of slices, as the real steps write them. Their bytes are
made by the real functions; they are sent by a client that does no more than sign: boto3 takes three times as long.
"""

import hashlib
import hmac
import http.client
import multiprocessing
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from chestgan_core.config.dataset import dataset_named
from chestgan_core.slices.newest_slices import recipe_of
from chestgan_core.slices.shards import Shard, SliceRow, rows_path, write_shard
from chestgan_core.slices.slices_manifest import SlicesManifest
from chestgan_core.store import keys
from chestgan_core.store.artefacts import canonical_json, content_key, content_version, folder_of, sha256_of
from chestgan_core.store.client import Access
from chestgan_core.store.embedded import BUCKET

SLICE_SIZE = 8  # pixels: the tensors of a cohort matter to none of what is measured
_WRITERS = 2  # processes


class Sender:
    """Puts small objects into the bucket of the embedded store over one connection. committed: when manifests say that
    they were, ISO 8601, UTC; "" for now.
    """

    def __init__(self, access: Access) -> None:
        self._access, self._host = access, urlsplit(access.endpoint).netloc
        self._connection = http.client.HTTPConnection(self._host, timeout=60)
        self.committed = ""

    def put(self, key: str, data: bytes) -> None:
        """Write one object, with its sha256 as Store.put_bytes leaves it. Raises ValueError: it was refused."""
        now = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        digest = hashlib.sha256(data).hexdigest()
        headers = {"host": self._host, "x-amz-content-sha256": digest, "x-amz-date": now}
        if self.committed:
            headers["x-amz-meta-committed"] = self.committed
        headers["x-amz-meta-sha256"] = digest
        names = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        request = f"PUT\n/{BUCKET}/{key}\n\n{lines}\n{names}\n{digest}"
        scope = f"{now[:8]}/{self._access.region}/s3/aws4_request"
        signed = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        secret = f"AWS4{self._access.secret}".encode()
        for part in scope.split("/"):
            secret = hmac.digest(secret, part.encode(), "sha256")
        signature = hmac.digest(secret, signed.encode(), "sha256").hex()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self._access.key}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        self._connection.request("PUT", f"/{BUCKET}/{key}", data, headers)
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status != http.client.OK:
            raise ValueError(f"{key}: {answer.status} {said[:200]!r}")

    def put_artefact(self, key: str, files: dict[str, bytes], fields: dict[str, Any]) -> None:
        """Write what Store.commit would, without asking what is there."""
        objects = []
        for name, data in files.items():
            digest = sha256_of(data)
            place = content_key(folder_of(key), name, digest)
            self.put(place, data)
            objects.append({"key": place, "bytes": len(data), "sha256": digest})
        objects.sort(key=lambda one: str(one["key"]))
        self.put(key, canonical_json({**fields, "objects": objects}))


def fill_store(
    access: Access, dataset: str, patients: dict[str, tuple[str, str]], hashes: np.ndarray, begin: int = 0
) -> Iterator[int]:
    """Write what patients have; yields how many are done.

    patients: name -> fingerprint and histology, as `read_patients` gives them. hashes: (patients, slices, 32) uint8.
    begin: patients that are there already.
    """
    listed = [(name, *found) for name, found in sorted(patients.items())]
    numbers = [range(at, min(at + 50, len(listed))) for at in range(begin, len(listed), 50)]
    with multiprocessing.get_context("spawn").Pool(_WRITERS) as pool:
        work = partial(_fill, access, dataset)
        parts = ((([listed[at] for at in part]), hashes[part.start : part.stop]) for part in numbers)
        for part, _ in zip(numbers, pool.imap(work, parts), strict=True):
            yield part.stop


def _fill(access: Access, dataset: str, part: tuple[list[tuple[str, str, str]], np.ndarray]) -> None:
    sender, recipe = Sender(access), recipe_of(dataset_named(dataset)).version
    with tempfile.TemporaryDirectory(prefix="chestgan-bench-") as scratch:
        for (patient, selection, histology), hashes in zip(*part, strict=True):
            raw = _put_raw(sender, dataset, patient, selection)
            shard = _shard(patient, histology, hashes)
            path = Path(scratch) / "shard.safetensors"
            write_shard(shard, path)
            tensors, rows = path.read_bytes(), rows_path(path).read_bytes()
            fields = asdict(
                SlicesManifest(
                    dataset=dataset,
                    patient=patient,
                    histology=histology,
                    recipe=recipe,
                    raw=raw,
                    slices=len(shard.rows),
                    left_out={"no-lung": 11},
                    selection=selection,
                )
            )
            version = content_version(sha256_of(tensors), fields)
            key = keys.slices_manifest(dataset, patient, version)
            files = {f"{version}.safetensors": tensors, f"{version}.parquet": rows}
            sender.put_artefact(key, files, fields)
            sender.put(keys.slices_latest(dataset, patient), canonical_json({"version": version}))


def _put_raw(sender: Sender, dataset: str, patient: str, selection: str) -> str:
    """The newest raw files of a patient: as if there were no zips, which nobody reads here."""
    fields = {
        "kind": "raw-dicom",
        "dataset": dataset,
        "patient": patient,
        "selection": selection,
        "files": 30,
    }
    version = content_version(fields)
    sender.put_artefact(keys.raw_manifest(dataset, patient, version), {}, fields)
    sender.put(keys.raw_latest(dataset, patient), canonical_json({"version": version}))
    return version


def _shard(patient: str, histology: str, hashes: np.ndarray) -> Shard:
    count = len(hashes)
    draw = np.random.default_rng(list(patient.encode()))
    slices = draw.integers(-1000, 400, (count, SLICE_SIZE, SLICE_SIZE)).astype(np.int16)
    series = f"2.25.{draw.integers(2**62)}"
    kernel, thickness = (
        ("STANDARD", "B70f", "LUNG")[draw.integers(3)],
        float(draw.choice([1.0, 1.25, 3.0, 5.0])),
    )
    rows = tuple(
        SliceRow(
            patient,
            histology,
            series,
            f"{series}.{number}",
            position_mm=5.0 * number,
            lung_fraction=float(draw.uniform(0.1, 0.5)),
            pixel_mm=float(draw.uniform(4, 6)),
            kernel=kernel,
            thickness_mm=thickness,
            phash=digest.tobytes().hex(),
            stored_rows=512,
            stored_columns=512,
            crop_rows=400,
            crop_columns=400,
            position=number / count,
        )
        for number, digest in enumerate(hashes)
    )
    return Shard(slices, rows)

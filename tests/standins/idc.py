"""The bucket of the Imaging Data Commons: SeaweedFS with anonymous reads, behind a proxy that can fail.

In: a collection and a running embedded server. Out: the address for IdcConfig.endpoint. Answers of S3 are passed on
unchanged; faults are those of the series whose object is read, or which is listed (`listing_of`).
"""

import http.client
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

from chestgan_core.store.embedded import EmbeddedStore
from tests.standins.collection import StandInCollection
from tests.standins.faults import Fault, Faults
from tests.standins.server import BLOCK, Answer, StandInServer


@contextmanager
def idc_stand_in(
    collection: StandInCollection, embedded: EmbeddedStore, faults: Faults | None = None
) -> Iterator[StandInServer]:
    """A bucket with the collection as it is now; `publish` adds later revisions."""
    publish(collection, embedded)
    assert embedded.access is not None
    upstream = urlsplit(embedded.access.endpoint).netloc

    def answer(path: str, headers: Mapping[str, str]) -> Answer:
        parts = urlsplit(path)
        if prefix := parse_qs(parts.query).get("prefix"):
            uid = collection.series_of_folder(prefix[0].strip("/"))
            return _forward(upstream, path, headers, listing_of(uid))
        key = parts.path.lstrip("/").partition("/")[2]
        uid = collection.series_of_folder(key.partition("/")[0])
        return replace(_forward(upstream, path, headers, uid), key=key)

    with StandInServer(answer, faults or Faults(), _damage) as server:
        yield server


def listing_of(uid: str) -> str:
    """The name in `Faults` for the listing of a series; its UID stands for its objects."""
    return f"list {uid}" if uid else ""


def publish(collection: StandInCollection, embedded: EmbeddedStore) -> None:
    """Upload what the bucket lacks. Nothing is deleted, as the Imaging Data Commons keeps old versions of a series."""
    client = embedded.store().client
    there = {item["Name"] for item in client.list_buckets()["Buckets"]}
    if collection.bucket not in there:
        client.create_bucket(Bucket=collection.bucket)
        everything = [f"arn:aws:s3:::{collection.bucket}", f"arn:aws:s3:::{collection.bucket}/*"]
        statement = {
            "Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": everything,
        }  # fmt: skip
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        client.put_bucket_policy(Bucket=collection.bucket, Policy=json.dumps(policy))
    with ThreadPoolExecutor(8) as pool:
        for series in collection.series:
            if client.list_objects_v2(Bucket=collection.bucket, Prefix=f"{series.folder}/")["KeyCount"]:
                continue
            jobs = [
                pool.submit(client.put_object, Bucket=collection.bucket, Key=key, Body=path.read_bytes())
                for key, path in series.objects()
            ]
            for job in jobs:
                job.result()


def _forward(upstream: str, path: str, headers: Mapping[str, str], series: str) -> Answer:
    connection = http.client.HTTPConnection(upstream, timeout=30)
    # Without accept-encoding S3 sends the length of the body: no chunks, no compression.
    passed_on = {
        name: value
        for name, value in headers.items()
        if name not in ("host", "connection", "accept-encoding")
    }
    connection.request("GET", path, headers=passed_on)
    reply = connection.getresponse()
    kept = ("content-type", "etag", "last-modified", "accept-ranges", "content-range", "x-amz-request-id")
    sent = {name: value for name, value in reply.getheaders() if name.lower() in kept}
    length = reply.getheader("Content-Length")
    if length is None:  # a list of objects may come in chunks
        data = reply.read()
        connection.close()
        return Answer(reply.status, sent, iter([data]), len(data), series)

    def body() -> Iterator[bytes]:
        try:
            while block := reply.read(BLOCK):
                yield block
        finally:
            connection.close()

    return Answer(reply.status, sent, body(), int(length), series)


def _damage(answer: Answer, fault: Fault) -> Answer:
    data = bytearray(b"".join(answer.body))
    data[len(data) // 2] ^= 0xFF
    return replace(answer, body=iter([bytes(data)]))

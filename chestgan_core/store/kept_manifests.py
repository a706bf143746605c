"""Manifests of many artefacts, of which those that were read before are kept on this machine.

In: keys of manifests with their ETags, as a listing says them. Out: artefacts. A manifest never changes, and where a
tombstone takes its place the ETag is another: what is kept under key and ETag is what the store would answer. One file
per list, for its owner alone, which holds what was in the list the last time and no more.
"""

import gzip
import hashlib
import json
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from chestgan_core.local.files import replacing
from chestgan_core.local.progress import Progress
from chestgan_core.store.artefacts import Artefact, content_version, parse_manifest
from chestgan_core.store.client import PARALLEL
from chestgan_core.store.store import Store

# Fewer are read in seconds.
WORTH_KEEPING = 1_000

log = logging.getLogger(__name__)


def kept_file(home: Path, store: Store, name: str) -> Path:
    """Where the manifests of a list are kept. name: of the list, such as the dataset."""
    return home / "manifests" / f"{content_version(store.uri(), name)}.gz"


def read_manifests(store: Store, listed: Mapping[str, str], kept: Path, what: str) -> dict[str, Artefact]:
    """Every manifest of a list, those that are not kept by a request each, several at once.

    Args:
        store: Where they are.
        listed: Key -> ETag.
        kept: File of `kept_file`; made, or written anew, where at least WORTH_KEEPING are listed.
        what: Of which progress is shown while they are read.

    Returns:
        Key -> artefact, in the order of the list.

    Raises:
        NotInStore: One was deleted since it was listed, or is a tombstone.
        DamagedObject: One is no manifest.
        StoreError: The store refused, or did not answer.
    """
    known = _read_kept(kept) if len(listed) >= WORTH_KEEPING else {}
    texts = {key: known[key][1] for key, etag in listed.items() if key in known and known[key][0] == etag}
    missing = [key for key in listed if key not in texts]
    with (
        Progress(what, len(missing), "manifests") as progress,
        ThreadPoolExecutor(PARALLEL) as pool,
    ):
        for key, data in zip(missing, pool.map(store.get_bytes, missing), strict=True):
            texts[key] = data.decode()
            progress.step()
    found = {key: parse_manifest(key, texts[key].encode(), store.uri(key)) for key in listed}
    if len(listed) >= WORTH_KEEPING and (missing or len(known) != len(listed)):
        _keep(kept, {key: (etag, texts[key]) for key, etag in listed.items()})
    return found


def _read_kept(path: Path) -> dict[str, tuple[str, str]]:
    """Key -> ETag and text; empty where the file is not there, or not as it was written."""
    try:
        digest, _, data = path.read_bytes().partition(b"\n")
        if hashlib.sha256(data).hexdigest().encode() != digest:
            return {}
        return {key: (etag, text) for key, (etag, text) in json.loads(gzip.decompress(data)).items()}
    except OSError:
        return {}


def _keep(path: Path, kept: Mapping[str, tuple[str, str]]) -> None:
    data = gzip.compress(json.dumps(kept).encode(), 1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        with replacing(path, durable=False) as part:
            part.write_bytes(hashlib.sha256(data).hexdigest().encode() + b"\n" + data)
    except OSError as error:  # such as a pod without a disk: the next time takes as long as this one
        log.info(f"{path} cannot be written ({error.strerror}); manifests are read anew each time")


def drop_kept(home: Path, store: Store, name: str) -> None:
    """Remove what is kept of a list on this machine."""
    with suppress(OSError):
        kept_file(home, store, name).unlink(missing_ok=True)

"""When artefacts were committed.

In: a store and what keys begin with. Out: the manifests below it with their times. The time is noted beside a manifest
when it is first written, not in its bytes: the same content has the same manifest whenever it is made, and committing
it again does not change the time. Copies of a bucket keep the note.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from chestgan_core.layout import MANIFEST
from chestgan_core.objects import PARALLEL
from chestgan_core.store import Store


@dataclass(frozen=True)
class Commit:
    """manifest_key: of the artefact. at: UTC."""

    manifest_key: str
    at: datetime

    @property
    def month(self) -> str:
        """YYYY-MM."""
        return f"{self.at:%Y-%m}"


def commits(store: Store, prefix: str) -> list[Commit]:
    """Every artefact below a prefix, the oldest first: one small request each, several at once."""
    keys = [item.key for item in store.list(prefix) if item.key.endswith(f"/{MANIFEST}")]
    with ThreadPoolExecutor(PARALLEL) as pool:
        found = [Commit(key, at) for key, at in zip(keys, pool.map(store.written_at, keys), strict=True)]
    return sorted(found, key=lambda commit: (commit.at, commit.manifest_key))

"""Sets that were fetched from their address, kept for the next time.

In: the address of a set. Out: its complete folder in the user's cache. Two processes may fetch the same at once: the
second one waits, and takes over where the first was killed.
"""

import os
from pathlib import Path

from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.transfer.fetching import fetch_set
from chestgan_core.publishing.versions.finding import newest_version
from chestgan_core.store.artefacts import content_version
from chestgan_core.store.store import Store


def fetch_into_cache(
    store: Store, name: str, version: str | None, cache: str | Path | None = None
) -> SetFolder:
    """As fetch_set, into a folder of this store and version; what is there and intact is not downloaded again.

    cache: by default `chestgan/sets` in the user's cache folder.
    """
    version = version or newest_version(store, name)
    # 8 digits: a folder name that people see, and it only tells the few stores of one user apart.
    place = Path(cache or _cache()) / content_version(store.uri(), length=8) / name / version
    return fetch_set(store, name, version, place)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chestgan" / "sets"

"""The synthetic set: written, published, fetched, verified, and read as a torch Dataset.

images = chestgan_core.publishing.open_set("s3://bucket/prefix/synthetic/demo")
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chestgan_core.publishing.reader.torch_dataset import SyntheticSet
    from chestgan_core.publishing.reader.torch_stream import StreamedSet


def open_set(where: str | Path, cache: str | Path | None = None, **options: Any) -> "SyntheticSet":
    """A published or a fetched set as a torch Dataset; see opening.open_set."""
    # Imported here, so that the package can be listed without torch.
    from chestgan_core.publishing import opening

    return opening.open_set(where, cache, **options)


def stream_set(where: str | Path, **options: Any) -> "StreamedSet":
    """A set as a torch IterableDataset that reads while it is used; see streaming.stream_set."""
    from chestgan_core.publishing import streaming

    return streaming.stream_set(where, **options)

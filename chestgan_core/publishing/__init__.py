"""The synthetic set: written, published, fetched, verified, and read as a torch Dataset.

images = chestgan_core.publishing.open_set("s3://bucket/prefix/synthetic/demo")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chestgan_core.publishing.opening import open_set
    from chestgan_core.publishing.streaming import stream_set

__all__ = ["open_set", "stream_set"]


def __getattr__(name: str) -> Any:
    # Loaded when they are used, so that the package can be listed without torch and boto3.
    if name == "open_set":
        from chestgan_core.publishing.opening import open_set

        return open_set
    if name == "stream_set":
        from chestgan_core.publishing.streaming import stream_set

        return stream_set
    raise AttributeError(f"module {__name__} has no attribute {name}")

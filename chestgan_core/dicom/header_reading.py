"""The headers of many files, parsed by this process or by others beside it.

In: files in order, with their first bytes (file_walk.py). Out: each with its header, in the same order.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from chestgan_core.dicom.file_walk import Archives, Found, Refused
from chestgan_core.dicom.headers import Rejected, SliceHeader, read_header
from chestgan_core.local.workers import Workers
from chestgan_core.reasons import Synthetic

FILES_OF_A_PART = 16  # for each message to another process and back

Read: TypeAlias = SliceHeader | Rejected | None
"""None: a file that was refused before."""


@dataclass(frozen=True, slots=True)
class Heads:
    """Files that lie behind each other, to have their headers read by any process."""

    files: list[Found | Refused]
    synthetic: Synthetic


def read_headers(
    files: Iterable[Found | Refused], archives: Archives, synthetic: Synthetic, workers: Workers | None
) -> Iterator[tuple[Found | Refused, Read]]:
    """Each file and its header, in their order."""
    heads: deque[Heads] = deque()  # whose headers are not back yet

    def parts() -> Iterator[Heads]:
        some = iter(files)
        while part := list(islice(some, FILES_OF_A_PART)):
            heads.append(Heads(part, synthetic))
            yield heads[-1]

    def further(file: Found) -> SliceHeader | Rejected:
        return read_header(file, lambda limit: archives.read(file.location, limit), synthetic)

    def here(part: Heads) -> list[Read]:
        return [further(file) if isinstance(file, Found) else None for file in part.files]

    done = workers.in_order(parts(), here, headers_there) if workers else map(here, parts())
    for headers in done:
        for file, read in zip(heads.popleft().files, headers, strict=True):
            yield file, further(file) if read is None and isinstance(file, Found) else read


class _ReadFurther(Exception):
    """A header that is longer than the first bytes of its file."""


def headers_there(part: Heads) -> list[Read]:
    """The headers, in another process, which has the first bytes of the files only."""

    def no_more(limit: int) -> bytes:
        raise _ReadFurther

    def header(file: Found) -> Read:
        try:
            return read_header(file, no_more, part.synthetic)
        except _ReadFurther:
            return None

    return [header(file) if isinstance(file, Found) else None for file in part.files]

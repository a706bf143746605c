"""Collections of pictures in class folders: looked through, told in numbers, and kept in the store unchanged.

In: the folder or zip of a dataset. Out: `images/<dataset>/<version>/`: images-*.zip with the bytes of every picture,
each content once under its sha256; images.parquet with a row for every file; contact-sheet.png; a manifest; and the
pointer to the newest. The version names the content: the same files give the same version.
"""

import builtins
import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from chestgan_core.config.dataset import Dataset, dataset_named
from chestgan_core.errors import BadInput, NotInStore
from chestgan_core.local.progress import Progress
from chestgan_core.sources.images.image_rows import (
    ImageRow,
    ImageStatus,
    rows_digest,
    rows_from_parquet,
    rows_to_parquet,
)
from chestgan_core.sources.images.source import ImagesConfig, images_folder
from chestgan_core.sources.images.summary import ImageSummary, summary_of
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact, content_version
from chestgan_core.store.store import Store

if TYPE_CHECKING:
    from chestgan_core.dicom.file_walk import Archives, Found, Source

ROWS, SHEET = "images.parquet", "contact-sheet.png"


@dataclass(frozen=True)
class StoredImages:
    """Where a collection lies, and what is in it. contact_sheet_png: pictures of each class."""

    uri: str
    version: str
    bytes: int
    summary: ImageSummary
    contact_sheet_png: builtins.bytes

    @property
    def images(self) -> int:
        """Files that are pictures."""
        return self.summary.images

    @property
    def selected(self) -> int:
        """Pictures that are used."""
        return self.summary.selected

    @property
    def left_out(self) -> dict[str, int]:
        """Why -> files that are not used."""
        return self.summary.left_out

    @property
    def across_splits(self) -> int:
        """Groups of the same or nearly the same picture in more than one split."""
        return self.summary.across_splits

    @property
    def by_class(self) -> list[tuple[str, str, int, int]]:
        """Class, split, images, selected."""
        return [(each.class_name, each.split, each.images, each.selected) for each in self.summary.by_class]


@dataclass(frozen=True)
class ImageCollection:
    """A committed collection. rows: every file, by path."""

    version: str
    rows: tuple[ImageRow, ...]
    artefact: Artefact


@dataclass(frozen=True)
class _Look:
    """One look at a folder: rows by path, and where the file of each lies (None: it cannot be opened)."""

    rows: list[ImageRow]
    sources: "list[Source | None]"


def collect_images(store: Store, dataset_name: str, home: Path) -> StoredImages:
    """Look through the pictures of a dataset, commit them, and say what is there twice.

    home: where a download is kept. Raises BadInput: no images dataset, the folder is not there or holds no picture in
    a class folder, a file changed meanwhile; SourceUnreachable, SourceRefused (download); StoreError.
    """
    from chestgan_core.sources.images.contact_sheet import sheet_png
    from chestgan_core.sources.images.zips import write_archives

    dataset, source = _images_dataset(dataset_name)
    look = _look_through(dataset, source, images_folder(source, dataset, home))
    summary = summary_of(dataset.name, look.rows)
    _require_classes(dataset, summary)
    version = content_version(dataset.name, rows_digest(look.rows))
    manifest_key = keys.images_manifest(dataset.name, version)
    if not store.is_complete(manifest_key):
        with tempfile.TemporaryDirectory(prefix="chestgan-") as scratch:
            zips = write_archives(look.rows, look.sources, Path(scratch))
            files: dict[str, Path | bytes] = {
                **zips,
                ROWS: rows_to_parquet(look.rows),
                SHEET: sheet_png(look.rows, look.sources),
            }
            told = {
                "kind": "raw-images",
                "dataset": dataset.name,
                "licence": dataset.licence,
                "citation": dataset.citation,
                "doi": dataset.doi,
                "summary": summary.as_json(),
            }
            with Progress(f"raw_images {dataset.name}", len(files), "objects") as progress:
                store.commit(manifest_key, files, told, progress)
    artefact = store.read_manifest(manifest_key)
    store.update_pointer(keys.images_latest(dataset.name), {"version": version})
    return StoredImages(
        store.uri(manifest_key), version, artefact.bytes, summary, store.read(artefact, SHEET)
    )


def summarise_images(dataset_name: str, path: Path | None = None, home: Path | None = None) -> ImageSummary:
    """The numbers of a collection without storing anything: its images, classes, splits and duplicates.

    path: a folder or zip to read by the rules of the dataset, instead of where its images come from. home: where a
    download is kept; without it nothing is downloaded. Raises BadInput as collect_images does.
    """
    dataset, source = _images_dataset(dataset_name)
    if path is None:
        path = images_folder(source, dataset, home) if home else source.named_folder()
    summary = summary_of(dataset.name, _look_through(dataset, source, path).rows)
    _require_classes(dataset, summary)
    return summary


def open_images(store: Store, dataset_name: str, version: str | None = None) -> ImageCollection:
    """A committed collection, by default the newest. Raises NotInStore (never collected), DamagedObject."""
    if version is None:
        try:
            version = str(store.get_pointer(keys.images_latest(dataset_name))[0]["version"])
        except NotInStore as error:
            raise NotInStore(
                f"pictures of {dataset_name}", "are not in the store", "materialize raw_images first"
            ) from error
    artefact = store.read_manifest(keys.images_manifest(dataset_name, version))
    return ImageCollection(version, rows_from_parquet(store.read(artefact, ROWS)), artefact)


def _images_dataset(name: str) -> tuple[Dataset, ImagesConfig]:
    dataset = dataset_named(name)
    if not isinstance(dataset.source, ImagesConfig):
        raise BadInput(
            name, "has DICOM series, no pictures in class folders", "use series_catalog and raw_dicom"
        )
    if dataset.private:
        cause = "is private, and nothing can tell whether a picture, its name or its file names a person"
        raise BadInput(name, cause, "remove what names a person, then set private: false, or deliver DICOM")
    return dataset, dataset.source


def _look_through(dataset: Dataset, source: ImagesConfig, root: Path) -> _Look:
    from chestgan_core.dicom.file_walk import Archives
    from chestgan_core.sources.images.duplicates import decide
    from chestgan_core.sources.images.names import has_splits

    with Archives() as archives, Progress(f"raw_images {dataset.name}", None, "files") as progress:
        # Without the first bytes of each file, which the walk brings along: a GB for 100,000 pictures.
        files = [
            (path, None if found is None else replace(found, head=b""), status)
            for path, found, status in _files(root, archives)
        ]
        split = has_splits([path for path, _, _ in files], source)
        looked = []
        for path, found, status in files:
            row = _row(path, found, status, archives, source, split)
            looked.append((row, None if found is None else found.source))
            progress.step()
    looked.sort(key=lambda item: item[0].path)
    rows = decide([row for row, _ in looked], source.splits if split else {})
    return _Look(rows, [where for _, where in looked])


def _files(root: Path, archives: "Archives") -> "Iterator[tuple[PurePosixPath, Found | None, ImageStatus]]":
    """Every file below the root: its path, and either where it is or why it cannot be opened."""
    from chestgan_core.dicom.file_walk import Refused, walk
    from chestgan_core.dicom.left_out import LeftOut

    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        raise BadInput(
            root, "there is no such folder or zip, or it is empty", "name the folder or zip of the pictures"
        )
    for item in walk([root], archives):
        if isinstance(item, Refused):
            unsafe = item.reason == LeftOut.UNSAFE_NAME
            status = ImageStatus.UNSAFE_NAME if unsafe else ImageStatus.UNREADABLE
            name = _text(item.name.removeprefix(str(root)).lstrip("/:"))
            yield PurePosixPath(name), None, status
        else:
            yield _path_of(item.source, root, archives), item, ImageStatus.SELECTED


def _path_of(source: "Source", root: Path, archives: "Archives") -> PurePosixPath:
    """Below the root; entries of a zip below its name (of the root itself: at the top)."""
    from chestgan_core.dicom.file_walk import Source

    below = "" if Path(source.path) == root else Path(source.path).relative_to(root).as_posix()
    parts = [_text(below)]
    for depth, index in enumerate(source.entries):
        name = archives.entries(Source(source.path, source.entries[:depth]))[index].filename
        parts.append(_text(name.replace("\\", "/")))
    return PurePosixPath(*[part for part in parts if part])


def _text(name: str) -> str:
    """A file name is any bytes; what is not Unicode is written as `\\xNN`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _row(
    path: PurePosixPath,
    found: "Found | None",
    status: ImageStatus,
    archives: "Archives",
    source: ImagesConfig,
    split: bool,
) -> ImageRow:
    from chestgan_core.dicom.file_walk import READ_ERRORS
    from chestgan_core.imaging.perceptual_hash import perceptual_hash
    from chestgan_core.sources.images.decoding import LARGEST_BYTES, NotRead, read_picture
    from chestgan_core.sources.images.names import is_hidden, place_of

    place = place_of(path, source)

    def left_out(why: ImageStatus) -> ImageRow:
        size = found.size if found else 0
        return ImageRow(str(path), place.split, place.class_name, place.patient, size, status=str(why))

    if found is None:
        return left_out(status)
    if is_hidden(path):
        return left_out(ImageStatus.HIDDEN)
    if found.size > LARGEST_BYTES:
        return left_out(ImageStatus.TOO_LARGE)
    try:
        data = archives.read(found.source, LARGEST_BYTES)
        picture = read_picture(data, path.suffix)
    except READ_ERRORS:
        return left_out(ImageStatus.UNREADABLE)
    except NotRead as error:
        return left_out(error.status)
    height, width = picture.grey.shape
    if not place.class_name:
        status = ImageStatus.NO_CLASS
    elif split and not place.split:
        status = ImageStatus.NO_SPLIT
    return ImageRow(
        path=str(path),
        split=place.split,
        class_name=place.class_name,
        patient=place.patient,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        pixels_sha256=hashlib.sha256(f"{width}x{height}:".encode() + picture.grey.tobytes()).hexdigest(),
        width=width,
        height=height,
        mode=picture.mode,
        phash=perceptual_hash(picture.grey),
        status=str(status),
    )


def _require_classes(dataset: Dataset, summary: ImageSummary) -> None:
    if not summary.selected:
        why = ", ".join(f"{status} {count}" for status, count in summary.left_out.items())
        raise BadInput(
            f"pictures of {dataset.name}",
            f"none of {summary.files} files can be used ({why})",
            "name the folder that holds <split>/<class>/<picture>",
        )

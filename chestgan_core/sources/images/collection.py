"""Collections of images in class folders: scanned, counted, and kept unchanged in the store.

In: the folder or zip of a dataset. Out: `images/<dataset>/<version>/`: images-*.zip with the bytes of every image, each
content once under its sha256; images.parquet with one row per file; contact-sheet.png; a manifest; and the pointer to
the newest version. The version names the content: the same files give the same version.
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
from chestgan_core.config.labels import one_spelling
from chestgan_core.errors import BadInput, NotInStore
from chestgan_core.local.progress import Progress
from chestgan_core.reasons import in_words
from chestgan_core.sources.images.generated import Generated
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
    from chestgan_core.dicom.file_walk import Archives, FileLocation, Found

ROWS, SHEET = "images.parquet", "contact-sheet.png"


@dataclass(frozen=True)
class StoredImages:
    """A collection in the store, and its counts. contact_sheet_png: some images of each class."""

    uri: str
    version: str
    bytes: int
    summary: ImageSummary
    contact_sheet_png: builtins.bytes

    @property
    def images(self) -> int:
        """Number of files that are images."""
        return self.summary.images

    @property
    def selected(self) -> int:
        """Number of images that are used."""
        return self.summary.selected

    @property
    def left_out(self) -> dict[str, int]:
        """Status -> number of files that are not used."""
        return self.summary.left_out

    @property
    def across_splits(self) -> int:
        """Number of groups of equal or nearly equal images in more than one split."""
        return self.summary.across_splits

    @property
    def by_class(self) -> list[tuple[str, str, int, int]]:
        """Class, split, images, selected."""
        return [(each.class_name, each.split, each.images, each.selected) for each in self.summary.by_class]


@dataclass(frozen=True)
class ImageCollection:
    """A committed collection. rows: one per file, sorted by path."""

    version: str
    rows: tuple[ImageRow, ...]
    artefact: Artefact


@dataclass(frozen=True)
class _Scan:
    """rows: one per file, sorted by path. locations: where each file lies, None if it cannot be opened."""

    rows: list[ImageRow]
    locations: "list[FileLocation | None]"


def collect_images(store: Store, dataset_name: str, home: Path) -> StoredImages:
    """Scan the images of a dataset, find duplicates, and commit the collection.

    home: the local folder, where a download is kept. Raises BadInput (not a dataset of images, no such folder, no image
    in a class folder, a file that changed meanwhile), SourceUnreachable and SourceRefused (download), StoreError.
    """
    from chestgan_core.sources.images.contact_sheet import sheet_png
    from chestgan_core.sources.images.zips import write_zips

    dataset, config = _images_dataset(dataset_name)
    scan = _scan(dataset, config, images_folder(config, dataset, home))
    summary = summary_of(dataset.name, scan.rows)
    _require_images(dataset, config, summary)
    version = content_version(dataset.name, rows_digest(scan.rows))
    manifest_key = keys.images_manifest(dataset.name, version)
    if not store.is_complete(manifest_key):
        with tempfile.TemporaryDirectory(prefix="chestgan-") as scratch:
            zips = write_zips(scan.rows, scan.locations, Path(scratch))
            files: dict[str, Path | bytes] = {
                **zips,
                ROWS: rows_to_parquet(scan.rows),
                SHEET: sheet_png(scan.rows, scan.locations),
            }
            manifest = {
                "kind": "raw-images",
                "dataset": dataset.name,
                "licence": dataset.licence,
                "citation": dataset.citation,
                "doi": dataset.doi,
                "summary": summary.as_json(),
            }
            with Progress(f"raw_images {dataset.name}", len(files), "objects") as progress:
                store.commit(manifest_key, files, manifest, progress)
    artefact = store.read_manifest(manifest_key)
    store.update_pointer(keys.images_latest(dataset.name), {"version": version})
    return StoredImages(
        store.uri(manifest_key), version, artefact.bytes, summary, store.read(artefact, SHEET)
    )


def summarize_images(dataset_name: str, path: Path | None = None, home: Path | None = None) -> ImageSummary:
    """The counts of a collection, without storing anything: its images, classes, splits and duplicates.

    path: a folder or zip to read in place of the one that the dataset names. home: the local folder, where a download
    is kept; without it nothing is downloaded. Raises BadInput as collect_images does.
    """
    dataset, config = _images_dataset(dataset_name)
    if path is None:
        path = images_folder(config, dataset, home) if home else config.named_folder()
    summary = summary_of(dataset.name, _scan(dataset, config, path).rows)
    _require_images(dataset, config, summary)
    return summary


def open_images(store: Store, dataset_name: str, version: str | None = None) -> ImageCollection:
    """A committed collection, by default the newest. Raises NotInStore (never collected), DamagedObject."""
    if version is None:
        try:
            (version,) = store.read_pointer(keys.images_latest(dataset_name), "version")
        except NotInStore as error:
            raise NotInStore(
                f"images of {dataset_name}", "are not in the store", "materialize raw_images first"
            ) from error
    artefact = store.read_manifest(keys.images_manifest(dataset_name, version))
    return ImageCollection(version, rows_from_parquet(store.read(artefact, ROWS)), artefact)


def _images_dataset(name: str) -> tuple[Dataset, ImagesConfig]:
    dataset = dataset_named(name)
    if not isinstance(dataset.source, ImagesConfig):
        raise BadInput(
            name,
            "consists of DICOM series, not of images in class folders",
            "use series_catalog and raw_dicom",
        )
    if dataset.private:
        cause = (
            "is private, and whether an image, its name or its metadata identify a person cannot be checked"
        )
        raise BadInput(
            name, cause, "remove what identifies a person, then set private: false; or provide DICOM"
        )
    return dataset, dataset.source


def _scan(dataset: Dataset, config: ImagesConfig, root: Path) -> _Scan:
    from chestgan_core.dicom.file_walk import Archives
    from chestgan_core.sources.images.duplicates import mark_duplicates
    from chestgan_core.sources.images.path_labels import has_splits, is_included

    made = Generated()
    with Archives() as archives, Progress(f"raw_images {dataset.name}", None, "files") as progress:
        files = []
        for path, found, status in _files(root, archives):
            if found is not None:
                if dataset.synthetic == "refuse":
                    made.note(path, found.head)
                # The first bytes of each file are dropped here, as they are a GB for 100,000 images.
                found = replace(found, head=b"")
            files.append((path, found, status))
        with_splits = has_splits([path for path, _, _ in files if is_included(path, config)], config)
        scanned = []
        for path, found, status in files:
            if found is not None and path in made:
                status = ImageStatus.SYNTHETIC
            row = _row(path, found, status, archives, config, with_splits)
            scanned.append((row, None if found is None else found.location))
            progress.step()
    scanned.sort(key=lambda item: item[0].path)
    classes = one_spelling(row.class_name for row, _ in scanned)
    patients = one_spelling(row.patient for row, _ in scanned)
    rows = [
        replace(row, class_name=classes[row.class_name], patient=patients[row.patient]) for row, _ in scanned
    ]
    rows = mark_duplicates(rows, config.splits if with_splits else {})
    return _Scan(rows, [location for _, location in scanned])


def _files(root: Path, archives: "Archives") -> "Iterator[tuple[PurePosixPath, Found | None, ImageStatus]]":
    """Every file below the root: its path, where it lies (None: it cannot be opened), and its status so far."""
    from chestgan_core.dicom.file_walk import Refused, walk
    from chestgan_core.dicom.left_out import LeftOut

    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        raise BadInput(root, "is not a folder or zip, or is empty", "name the folder or zip of the images")
    for item in walk([root], archives):
        if isinstance(item, Refused):
            status = {
                LeftOut.UNSAFE_NAME: ImageStatus.UNSAFE_NAME,
                LeftOut.ARCHIVE: ImageStatus.ARCHIVE,
                LeftOut.SPECIAL_FILE: ImageStatus.SPECIAL_FILE,
            }.get(item.reason, ImageStatus.UNREADABLE)
            name = _text(item.name.removeprefix(str(root)).lstrip("/:"))
            yield PurePosixPath(name), None, status
        else:
            yield _path_of(item.location, root, archives), item, ImageStatus.SELECTED


def _path_of(location: "FileLocation", root: Path, archives: "Archives") -> PurePosixPath:
    """The path below the root. Entries of a zip lie below its name, those of the root zip itself at the top."""
    from chestgan_core.dicom.file_walk import FileLocation

    below = "" if Path(location.path) == root else Path(location.path).relative_to(root).as_posix()
    parts = [_text(below)]
    for depth, index in enumerate(location.entries):
        name = archives.members(FileLocation(location.path, location.entries[:depth]))[index].name
        parts.append(_text(name.replace("\\", "/")))
    return PurePosixPath(*[part for part in parts if part])


def _text(name: str) -> str:
    """A file name may be any bytes; those that are not UTF-8 are written as `\\xNN`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _row(
    path: PurePosixPath,
    found: "Found | None",
    status: ImageStatus,
    archives: "Archives",
    config: ImagesConfig,
    with_splits: bool,
) -> ImageRow:
    from chestgan_core.dicom.file_walk import READ_ERRORS
    from chestgan_core.imaging.perceptual_hash import perceptual_hash
    from chestgan_core.sources.images.decoding import MAX_BYTES, UnusableImage, decode_image, require_contrast
    from chestgan_core.sources.images.path_labels import is_hidden, is_included, labels_of

    labels = labels_of(path, config)

    def left_out(reason: ImageStatus) -> ImageRow:
        size = found.size if found else 0
        return ImageRow(str(path), labels.split, labels.class_name, labels.patient, size, status=str(reason))

    if found is None:
        return left_out(status)
    if is_hidden(path):
        return left_out(ImageStatus.HIDDEN)
    if not is_included(path, config):
        return left_out(ImageStatus.NOT_INCLUDED)
    if found.size > MAX_BYTES:
        return left_out(ImageStatus.TOO_LARGE)
    try:
        data = archives.read(found.location, MAX_BYTES)
        image = decode_image(data, path.suffix)
        require_contrast(image.grey)
    except READ_ERRORS:
        return left_out(ImageStatus.UNREADABLE)
    except UnusableImage as error:
        return left_out(error.status)
    height, width = image.grey.shape
    if status is ImageStatus.SELECTED and not labels.class_name:
        status = ImageStatus.NO_CLASS
    elif status is ImageStatus.SELECTED and with_splits and not labels.split:
        status = ImageStatus.NO_SPLIT
    return ImageRow(
        path=str(path),
        split=labels.split,
        class_name=labels.class_name,
        patient=labels.patient,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        pixels_sha256=hashlib.sha256(f"{width}x{height}:".encode() + image.grey.tobytes()).hexdigest(),
        width=width,
        height=height,
        mode=image.mode,
        phash=perceptual_hash(image.grey),
        status=str(status),
    )


def _require_images(dataset: Dataset, config: ImagesConfig, summary: ImageSummary) -> None:
    if not summary.selected:
        reasons = in_words(summary.left_out)
        remedy = "name the folder that holds <split>/<class>/<image>"
        if summary.left_out.get(ImageStatus.NOT_INCLUDED):
            remedy += f", or correct source.include_paths of the dataset ({', '.join(config.include_paths)})"
        raise BadInput(
            f"images of {dataset.name}", f"none of {summary.files} files can be used ({reasons})", remedy
        )

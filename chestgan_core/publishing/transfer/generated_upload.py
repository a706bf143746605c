"""Generate a set and upload it at once, without the set on this machine.

In: the plan of a set. Out: `synthetic/<set>/<version>/` in the store, as `write_set` and `publish_set` would make it.
While a tar is generated the one before is checked and uploaded; of these two there are files, and memory does not grow
with the set. What is uploaded is staged (staging.py): after a kill, a full disk or a store that went away the same call
generates only what is not staged, and comes to the same version.
"""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

from chestgan_core.errors import Forgotten, NotInStore, StoreError
from chestgan_core.local.files import require_space
from chestgan_core.local.progress import Progress
from chestgan_core.publishing.reader.set_folder import LABELS, SetFolder, parse_set
from chestgan_core.publishing.transfer.staging import Staging
from chestgan_core.publishing.transfer.uploading import PublishedSet, announce
from chestgan_core.publishing.versions.status import begin_status
from chestgan_core.publishing.writing.contents import FileFacts, SetPlan, finish_set, write_samples
from chestgan_core.publishing.writing.image_tars import (
    ImageTar,
    images_of,
    make_tars,
    require_intact,
    tar_count,
)
from chestgan_core.publishing.writing.labels_file import labels_file
from chestgan_core.publishing.writing.provenance import AskedCounts
from chestgan_core.publishing.writing.tar_writer import IMAGES_PER_TAR, tar_name
from chestgan_core.store import keys
from chestgan_core.store.artefacts import StoredObject, folder_of
from chestgan_core.store.client import PARALLEL
from chestgan_core.store.forgotten import keep_unless_forgotten, require_none_forgotten
from chestgan_core.store.store import Store

_TRIES = 4  # of one release, while others of the same images end and take what is staged with them
# On the disk at once: the tar that is written, the one that is uploaded, and labels.
_TARS_ON_DISK = 3
_BYTES_BESIDE_PIXELS = 2_048  # of an image in a tar: two headers, the label, the ends of blocks

log = logging.getLogger(__name__)


def publish_plan(store: Store, plan: SetPlan, folder: Path, made_of: Sequence[str] = ()) -> PublishedSet:
    """Generate a set and publish it. The same plan gives the same version, however often it was interrupted.

    Args:
        store: Where to publish. Its keys need the right to read, write and delete below `synthetic/`.
        plan: From `contents.plan_set`.
        folder: Exists, is empty, and keeps labels, card and samples afterwards; the tars come and go.
        made_of: Keys of the manifests of what the generator was made of.

    Returns:
        The name, version (16 hex digits), `s3://` address, number of images and size in bytes.

    Raises:
        BadInput: A seed is out of range.
        DiskFull: There is no room for two tars.
        DamagedObject: A tar is not what was generated. It was not uploaded.
        SetWithdrawn: This version was withdrawn.
        Forgotten: One of `made_of` was deleted meanwhile, because a patient has withdrawn; nothing of the set stays.
        StoreError: The store refused, or did not answer. The same call goes on where this one ended.
    """
    facts, staging = plan.facts, Staging(store, plan)
    image = facts.resolution**2 * facts.bits // 8 + _BYTES_BESIDE_PIXELS
    needed = _TARS_ON_DISK * min(facts.images, IMAGES_PER_TAR) * image
    require_space([(folder, needed, "set CHESTGAN_HOME to a folder on another disk")])
    for _ in range(_TRIES):
        try:
            require_none_forgotten(store, made_of)
            tars, asked = _stage_all(staging, plan, folder)
            ready = _commit(store, staging, plan, folder, tars, asked)
            _keep(store, ready, made_of)
        except Forgotten:
            staging.delete()
            raise
        except _Vanished:
            log.info(
                "another release of %s has ended and removed what was staged; what is missing is made anew",
                facts.name,
            )
        else:
            break
    else:
        cause = f"was removed {_TRIES} times by other releases of the same images"
        raise StoreError(f"what is staged of {facts.name}", cause, "run one release of a set at a time")
    published = announce(store, ready)
    try:
        staging.delete()
        staging.delete_abandoned()
    except StoreError as error:
        log.warning(
            "%s %s is published, and what was staged for it stays: %s", facts.name, ready.version, error
        )
    return published


class _Vanished(Exception):
    """Another release has removed what this one had staged."""


@contextmanager
def _vanishing() -> Iterator[None]:
    try:
        yield
    except NotInStore as error:
        raise _Vanished from error


def _stage_all(staging: Staging, plan: SetPlan, folder: Path) -> tuple[list[FileFacts], AskedCounts]:
    """All tars in the store, in order, and what their images were asked for; labels.parquet and samples.png in the
    folder.
    """
    facts = plan.facts
    tars: list[FileFacts] = []
    uploading: Future[FileFacts] | None = None
    with (
        Progress(f"synthetic set  {facts.name}", total=facts.images, unit="images") as progress,
        labels_file(folder / LABELS) as labels,
        ThreadPoolExecutor(1, "upload") as pool,
    ):
        there = _found(staging, plan, progress)
        missing = [number for number in range(tar_count(facts)) if number not in there]

        def take_those_before(stop: int) -> None:
            for number in range(len(tars), stop):
                # Read once more rather than kept: memory would grow with the set.
                staged = staging.find(number)
                if staged is None:
                    raise _Vanished
                labels.append(staged.labels(number, facts))
                tars.append(staged.facts)

        with closing(
            make_tars(plan.generator, facts, missing, folder, progress, layouts=plan.layouts)
        ) as made:
            for tar in made:
                if uploading is not None:
                    tars.append(uploading.result())
                take_those_before(tar.number)
                labels.append(tar.rows)
                uploading = pool.submit(_upload, staging, plan, tar, folder)
        if uploading is not None:
            tars.append(uploading.result())
        take_those_before(tar_count(facts))
    if 0 in there:
        first = folder / tar_name(0)
        with _vanishing():
            staging.fetch(0, tars[0], first)
        write_samples(first, facts, folder)
        first.unlink()
    return tars, labels.asked


def _found(staging: Staging, plan: SetPlan, progress: Progress) -> set[int]:
    """The tars that an earlier call has staged."""
    numbers = sorted(number for number in staging.numbers() if number < tar_count(plan.facts))
    with ThreadPoolExecutor(PARALLEL) as pool:
        found = zip(numbers, pool.map(staging.has, numbers), strict=True)
    there = {number for number, has in found if has}
    if there:
        images = sum(len(images_of(number, plan.facts)) for number in there)
        progress.step(images, note=f"{images:,} were there")
    return there


def _upload(staging: Staging, plan: SetPlan, tar: ImageTar, folder: Path) -> FileFacts:
    require_intact(tar, plan.facts)
    if tar.number == 0:
        write_samples(tar.path, plan.facts, folder)
    staging.put(tar)
    tar.path.unlink()
    return FileFacts(tar.bytes, tar.sha256)


def _commit(
    store: Store, staging: Staging, plan: SetPlan, folder: Path, tars: list[FileFacts], asked: AskedCounts
) -> SetFolder:
    """The set under its final keys; the manifest last."""
    names = {tar_name(number): tar for number, tar in enumerate(tars)}
    manifest = finish_set(plan, folder, names, asked)
    ready = parse_set(manifest, folder, str(folder))
    begin_status(store, ready.facts.name, ready.version)
    place = folder_of(ready.manifest_key)

    def copied(number: int) -> StoredObject:
        with _vanishing():
            return staging.copy(number, tars[number], place)

    with ThreadPoolExecutor(PARALLEL) as pool:
        there = list(pool.map(copied, range(len(tars))))
    small = {ready.name(item): ready.file(item) for item in ready.objects if ready.name(item) not in names}
    fields = {name: value for name, value in ready.manifest.items() if name != "objects"}
    store.commit(ready.manifest_key, small, fields, existing=there, plain_keys=True)
    return ready


def _keep(store: Store, ready: SetFolder, made_of: Sequence[str]) -> None:
    """Raises Forgotten: a patient has withdrawn meanwhile; the set is gone, before anybody was told of it."""
    try:
        keep_unless_forgotten(store, ready.manifest_key, made_of)
    except Forgotten:
        store.delete(keys.set_status(ready.facts.name, ready.version))
        raise

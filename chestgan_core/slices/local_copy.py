"""A training set on this machine, for trainings without the pipeline: its slices and its marks as files.

In: a committed training set. Out: a folder with what `chestgan train` takes: train/*.safetensors,
held-out/*.safetensors and slices.parquet, besides the card and the contact sheets.
"""

from pathlib import Path

from chestgan_core.errors import BadInput
from chestgan_core.local.files import require_space
from chestgan_core.local.output import output_folder, require_output_folder
from chestgan_core.slices.splits import SIDES
from chestgan_core.slices.training_set import open_training_set
from chestgan_core.store import keys
from chestgan_core.store.artefacts import sha256_of
from chestgan_core.store.download import Downloaded
from chestgan_core.store.store import Store

KIND = "a training set"
_REMEDY = (
    "give the address of a training set, as the asset training_set shows it; without --slices any address"
)


def copy_training_set(store: Store, key: str, out: Path | None = None) -> Downloaded:
    """Download a training set with its slices.

    Args:
        store: Where it is.
        key: Of its manifest, or of the folder of that.
        out: A folder; by default DATASET-VERSION in the working directory.

    Returns:
        What was downloaded, and where it is.

    Raises:
        BadInput: The key is not that of a training set, its dataset is not known here, the folder holds something else.
        NotInStore: There is no such training set, or a patient of it has withdrawn since.
        DamagedObject: An object is not what its manifest says.
        DiskFull: The disk has no room for it.
    """
    parts = key.removesuffix(f"/{keys.MANIFEST}").split("/")
    dataset, version = parts[1:3] if len(parts) == 3 else ("", "")
    if not version or keys.training_set_manifest(dataset, version) != f"{'/'.join(parts)}/{keys.MANIFEST}":
        raise BadInput(store.uri(key), "is not the address of a training set", _REMEDY)
    found = open_training_set(store, dataset, version)
    folder = Path(f"{dataset}-{version}") if out is None else out
    slices = sum(shard.slices for shard in found.shards)
    size = slices * found.manifest["size"] ** 2 * 2 + found.artefact.bytes
    require_output_folder(folder, KIND, version)
    require_space([(folder, size, "give --out on another disk")])
    with output_folder(folder, KIND, version):
        paths = [folder / found.artefact.name(item) for item in found.artefact.objects]
        for item, path in zip(found.artefact.objects, paths, strict=True):
            if not (path.is_file() and sha256_of(path) == item.sha256):
                store.get_file(item.key, path, item.sha256)
        for side in SIDES:
            (folder / side).mkdir(exist_ok=True)
            paths += found.fetch(store, side, folder / side)
    written = sum(path.stat().st_size for path in paths)
    return Downloaded(found.uri, tuple(paths), written)

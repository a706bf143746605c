"""Where the series of a split are fetched: the Imaging Data Commons, NBIA, phantoms that are generated again, a folder.

In: instructions, and what the person who runs this gives: a folder, an address. Out: a Provider. The set itself names
no server: by default each provider's own is asked.
"""

from pathlib import Path

from chestgan_core.config.dataset import Dataset
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.errors import BadInput
from chestgan_core.local.files import require_space
from chestgan_core.publishing.reproducing.series import USUAL_FILE_BYTES, Provider
from chestgan_core.publishing.split.private import published_name
from chestgan_core.publishing.writing.instructions import Instructions
from chestgan_core.sources.folder.source import FolderConfig, FolderSource
from chestgan_core.sources.idc.source import IdcConfig, IdcSource
from chestgan_core.sources.nbia.source import NbiaConfig, NbiaSource
from chestgan_core.sources.phantom.source import PhantomConfig, generated_folder
from chestgan_core.sources.phantom.version import VERSION as PHANTOM
from chestgan_core.sources.series_rows import SeriesRow, stack_key
from chestgan_core.store.artefacts import content_version


def provider_of(
    instructions: Instructions, work: Path, home: Path, folder: Path | None, endpoint: str | None
) -> Provider | str:
    """A provider, or why there is none.

    folder: DICOM files that the person has already. endpoint: of the Imaging Data Commons or of NBIA. home: the local
    folder with the patient key, for private datasets. Raises BadInput: an empty folder, no key.
    """
    dataset = _dataset(instructions)
    if folder is not None:
        if not folder.is_dir():
            raise BadInput(folder, "is not a folder", "name the folder with the DICOM files of the dataset")
        return _of_folder(folder, instructions, dataset, home)
    if instructions.private:
        return "its dataset is private: only its owner can, with --source FOLDER and the patient key"
    public = Pseudonyms()
    if instructions.source == "idc":
        idc = IdcConfig(kind="idc", collection=instructions.dataset)
        idc = idc.model_copy(update={"endpoint": endpoint} if endpoint else {})
        return Provider(IdcSource(idc, dataset, home), public, None, instructions.training_set)
    if instructions.source == "nbia":
        nbia = NbiaConfig(kind="nbia", collection=instructions.dataset)
        nbia = nbia.model_copy(update={"endpoint": endpoint} if endpoint else {})
        return Provider(NbiaSource(nbia, dataset, home), public, None, instructions.training_set)
    if instructions.phantoms is not None:
        return _of_phantoms(instructions, dataset, work)
    return f"its files come from {instructions.source}, which nobody else can fetch: give --source FOLDER"


def _of_phantoms(instructions: Instructions, dataset: Dataset, work: Path) -> Provider | str:
    made = instructions.phantoms
    assert made is not None  # noqa: S101 (for the type checker)
    if made.version != PHANTOM:
        return f"its phantoms are of version {made.version}, this version of chestgan makes {PHANTOM}"
    config = PhantomConfig(kind="phantom", patients=made.patients, slices=made.slices)
    need = made.patients * made.slices * USUAL_FILE_BYTES
    require_space([(work, need, "give --work on another disk")])
    return _of_folder(generated_folder(config, work), instructions, dataset, work)


def _of_folder(folder: Path, instructions: Instructions, dataset: Dataset, home: Path) -> Provider:
    pseudonyms = Pseudonyms.private(home) if instructions.private else Pseudonyms()
    source = FolderSource(lambda: folder, dataset, home)
    listed = {_published(row, instructions): row for row in source.list_series().rows}
    return Provider(source, pseudonyms, listed, instructions.training_set)


def _published(row: SeriesRow, instructions: Instructions) -> str:
    """The name of a series in the split."""
    if not instructions.private:
        return row.key
    version = instructions.training_set
    stack = published_name("stack", row.stack, version) if row.stack else ""
    return stack_key(published_name("series", row.series, version), stack)


def _dataset(instructions: Instructions) -> Dataset:
    """As much of the dataset as its source needs: whether ids are replaced, and whether files are generated."""
    phantoms = instructions.phantoms
    return Dataset(
        name=f"split-{content_version(instructions.dataset)}",
        title=instructions.dataset,
        image_kind=instructions.image_kind,
        licence="",
        source=FolderConfig(kind="folder", path_variable="CHESTGAN_FOLDER")
        if phantoms is None
        else PhantomConfig(kind="phantom", patients=phantoms.patients, slices=phantoms.slices),
        private=instructions.private,
        slice_size=instructions.recipe.size,
    )

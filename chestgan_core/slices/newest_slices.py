"""The current slices of a patient: those made from its newest raw archive with the current recipe of its dataset.

In: the store, a dataset. Out: the recipe, and for each patient of the catalog its committed slices, if any.
"""

from concurrent.futures import ThreadPoolExecutor

from chestgan_core.config.dataset import Dataset
from chestgan_core.errors import NotInStore
from chestgan_core.slices.recipe import LUNG_FRACTION, NormalizationRecipe
from chestgan_core.slices.slices_manifest import REMEDY, WHAT, SlicesManifest
from chestgan_core.sources.catalog.series_selection import stack_rules
from chestgan_core.sources.catalog.stored_catalog import newest_catalog_version, read_patients
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact
from chestgan_core.store.client import PARALLEL
from chestgan_core.store.forgotten import forgotten_patients
from chestgan_core.store.store import Store


def recipe_of(dataset: Dataset) -> NormalizationRecipe:
    """How the slices of a dataset are normalized.

    Where the lung fraction does not decide which slices are trained on, every slice that shows a body is kept: the
    training set selects among them, and its rules may change without normalizing anything again.
    """
    rules = dataset.training_set
    by_lung = dataset.has_hounsfield and rules.slices == "lung" and rules.selector == "anatomical"
    return NormalizationRecipe(
        size=dataset.slice_size,
        min_lung_fraction=LUNG_FRACTION if by_lung else 0.0,
        stack_rules=stack_rules(dataset.selection),
        synthetic=dataset.synthetic,
    )


def newest_slices(store: Store, dataset: Dataset) -> tuple[dict[str, Artefact], tuple[str, ...]]:
    """Patient -> its slices, and the patients of the catalog that have none.

    A patient whose selected series, archive or recipe have changed since counts as one without slices: its old ones,
    perhaps of a series that was withdrawn, would be trained on unnoticed. A patient who has withdrawn is neither.
    Raises NotInStore (no catalog), DamagedObject.
    """
    listed = read_patients(store, dataset.name, newest_catalog_version(store, dataset.name))
    # The newest catalog does not list them, unless it was being made when they withdrew.
    patients = sorted(listed.keys() - forgotten_patients(store, dataset.name))
    recipe = recipe_of(dataset).version

    def read_one(patient: str) -> Artefact | None:
        return _newest(store, dataset.name, patient, listed[patient][0], recipe)

    with ThreadPoolExecutor(PARALLEL) as pool:
        read = list(pool.map(read_one, patients))
    found = {patient: slices for patient, slices in zip(patients, read, strict=True) if slices is not None}
    return found, tuple(patient for patient in patients if patient not in found)


def _newest(store: Store, dataset: str, patient: str, selection: str, recipe: str) -> Artefact | None:
    try:
        (raw,) = store.read_pointer(keys.raw_latest(dataset, patient), "version")
        (version,) = store.read_pointer(keys.slices_latest(dataset, patient), "version")
    except NotInStore:
        return None
    key = keys.slices_manifest(dataset, patient, version)
    slices, manifest = store.read_typed(key, SlicesManifest, REMEDY, WHAT)
    made_of = manifest.raw, manifest.selection, manifest.recipe
    return slices if made_of == (raw, selection, recipe) else None

"""Which slices of a patient count: those made from its present raw archive with its dataset's present recipe.

In: the store, a dataset. Out: the recipe, and for each patient of the catalog its committed slices or the reason why
there are none.
"""

from chestgan_core import layout
from chestgan_core.artefacts import Artefact
from chestgan_core.errors import NotInStore
from chestgan_core.slices.recipe import NormalizationRecipe
from chestgan_core.sources.catalog import read_catalog
from chestgan_core.sources.datasets import Dataset
from chestgan_core.store import Store


def recipe_of(dataset: Dataset) -> NormalizationRecipe:
    """How the slices of a dataset are normalized."""
    return NormalizationRecipe(size=dataset.slice_size)


def newest_slices(store: Store, dataset: Dataset) -> tuple[dict[str, Artefact], tuple[str, ...]]:
    """patient -> its slices, and the patients of the catalog that have none.

    A patient whose archive or whose recipe has changed since counts as one without slices: its old ones would be
    trained on without anybody noticing that the new ones could not be made.
    """
    found: dict[str, Artefact] = {}
    missing = []
    recipe = recipe_of(dataset).version
    for patient in read_catalog(store, dataset.name).patients:
        try:
            raw = store.get_pointer(layout.raw_latest(dataset.name, patient))[0]["version"]
            version = str(store.get_pointer(layout.slices_latest(dataset.name, patient))[0]["version"])
        except NotInStore:
            missing.append(patient)
            continue
        slices = store.read_manifest(layout.slices_manifest(dataset.name, patient, version))
        if (slices.manifest["raw"], slices.manifest["recipe"]) == (raw, recipe):
            found[patient] = slices
        else:
            missing.append(patient)
    return found, tuple(missing)

"""The current slices of a patient: those made from its newest raw archive with the current recipe of its dataset.

In: the store, a dataset. Out: the recipe, and for each patient of the catalog its committed slices, if any.
"""

from chestgan_core.config.dataset import Dataset
from chestgan_core.local.home import home
from chestgan_core.slices.recipe import LUNG_FRACTION, NormalizationRecipe
from chestgan_core.slices.slices_manifest import REMEDY, WHAT, SlicesManifest
from chestgan_core.sources.catalog.series_selection import stack_rules
from chestgan_core.sources.catalog.stored_catalog import newest_catalog_version, read_patients
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact, parse_typed
from chestgan_core.store.forgotten import forgotten_patients
from chestgan_core.store.kept_manifests import kept_file, read_manifests
from chestgan_core.store.newest_versions import newest_versions
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
    The store is asked for its lists, not for each patient: a request for 1,000 objects, and one for each manifest that
    was not read on this machine before. Raises NotInStore (no catalog), DamagedObject.
    """
    name = dataset.name
    listed = read_patients(store, name, newest_catalog_version(store, name))
    # The newest catalog does not list them, unless it was being made when they withdrew.
    patients = sorted(listed.keys() - forgotten_patients(store, name))
    raw = newest_versions(store, keys.raw_prefix, name, patients)
    slices = newest_versions(store, keys.slices_prefix, name, patients)
    there = {
        patient: keys.slices_manifest(name, patient, slices[patient].version)
        for patient in patients
        if patient in raw and patient in slices
    }
    tags = {key: slices[patient].etag for patient, key in there.items()}
    artefacts = read_manifests(store, tags, kept_file(home(), store, name), f"slices {name}")
    recipe = recipe_of(dataset).version
    found = {}
    for patient, key in there.items():
        manifest = parse_typed(SlicesManifest, artefacts[key].manifest, store.uri(key), REMEDY, WHAT)
        made_of = manifest.raw, manifest.selection, manifest.recipe
        if made_of == (raw[patient].version, listed[patient][0], recipe):
            found[patient] = artefacts[key]
    return found, tuple(patient for patient in patients if patient not in found)

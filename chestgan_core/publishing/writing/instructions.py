"""How the real images of a set's numbers came to be, as data that travels with the set (`reproduction` in its
provenance): enough to make them again, and no address, so that no set decides which server is asked.

In: a committed training set; or provenance.json of somebody else. Out: Instructions.
"""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from chestgan_core.config.dataset import SeriesRules
from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.evaluation.version import VERSION as EVALUATION
from chestgan_core.publishing.fields import Text
from chestgan_core.reasons import Synthetic
from chestgan_core.slices import image_slices
from chestgan_core.slices.newest_slices import recipe_of
from chestgan_core.slices.recipe import NormalizationRecipe
from chestgan_core.slices.training_set import TrainingSet
from chestgan_core.sources.phantom.source import PhantomConfig
from chestgan_core.sources.phantom.version import VERSION as PHANTOM
from chestgan_core.store.artefacts import content_version, parse_typed

FORMAT = 1
REMEDY = "fetch the set again; if that does not help, ask whoever published it"
MAX_PATTERN = 300
"""Characters of a regular expression that is taken from a set."""


@dataclass(frozen=True)
class Recipe:
    """How slices were made. version: names the code too. trim, min_lung_fraction, stack_rules, synthetic: of CT, see
    slices/recipe.py.
    """

    version: Text
    size: Annotated[int, Field(ge=8, le=1024)]
    trim: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    min_lung_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.0
    stack_rules: Text = ""
    synthetic: Synthetic = "refuse"


@dataclass(frozen=True)
class Phantoms:
    """Generated patients, which are generated again. version: of the code that paints them."""

    version: Text
    patients: Annotated[int, Field(ge=1, le=9_999)]
    slices: Annotated[int, Field(ge=8, le=1_000)]


@dataclass(frozen=True)
class Instructions:
    """How the real side was made. format: a reader refuses a later one.

    source: kind of provider. selection: the rules by which stacks of a fetched series are left out. phantoms: of a
    generated dataset. evaluation: version of the code that measured.
    """

    format: Annotated[int, Field(ge=1)]
    dataset: Text
    image_kind: Literal["real", "phantom"]
    private: bool
    hounsfield: bool
    source: Text
    training_set: Text
    evaluation: Text
    recipe: Recipe
    selection: dict[str, Any]
    phantoms: Phantoms | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @property
    def series_rules(self) -> SeriesRules:
        """The selection rules of stacks. Raises DamagedObject."""
        where = "the provenance of the set"
        rules = parse_typed(SeriesRules, self.selection, where, REMEDY, "the rules of a selection")
        patterns = (*rules.include_description, *rules.exclude_description)
        if any(len(pattern) > MAX_PATTERN for pattern in patterns):
            raise DamagedObject(where, f"has a rule of more than {MAX_PATTERN} characters", REMEDY)
        return rules

    @property
    def normalization(self) -> NormalizationRecipe:
        """The recipe of slices of CT. Raises BadInput: this version would make others."""
        made = self.recipe
        recipe = NormalizationRecipe(
            made.size, made.trim, made.min_lung_fraction, made.stack_rules, made.synthetic
        )
        self._require(recipe.version)
        return recipe

    def require_picture_recipe(self) -> None:
        """Raises BadInput: this version would make other slices of pictures."""
        self._require(picture_recipe(self.recipe.size))

    def _require(self, version: str) -> None:
        if version != self.recipe.version:
            raise BadInput(
                "the recipe of the slices",
                f"is {self.recipe.version}, and this version of chestgan would make them by {version}",
                "install the version that the card names, and try again",
            )


def instructions_for(training_set: TrainingSet) -> Instructions:
    """What a set that was trained on this training set publishes."""
    dataset = training_set.dataset
    selection = dataset.selection.model_dump(
        mode="json",
        include={"min_images", "max_images", "include_description", "exclude_description", "kernel"},
    )
    if dataset.has_hounsfield:
        recipe = recipe_of(dataset)
        made = Recipe(recipe.version, **asdict(recipe))
    else:
        made = Recipe(picture_recipe(dataset.slice_size), dataset.slice_size)
    config = dataset.source
    return Instructions(
        format=FORMAT,
        dataset=dataset.name,
        image_kind=dataset.image_kind,
        private=dataset.private,
        hounsfield=dataset.has_hounsfield,
        source=config.kind,
        training_set=training_set.version,
        evaluation=EVALUATION,
        recipe=made,
        selection=selection,
        phantoms=Phantoms(PHANTOM, config.patients, config.slices)
        if isinstance(config, PhantomConfig)
        else None,
    )


def read_instructions(value: dict[str, Any] | None, where: str) -> Instructions:
    """The `reproduction` of a provenance. where: named by an error.

    Raises BadInput: the set has none, or of a later format; DamagedObject: a field is missing or out of bounds.
    """
    if not value:
        cause = "does not say how its numbers were computed: it was published by an older version"
        raise BadInput(where, cause, "ask whoever published the set to publish it again")
    given = value.get("format")
    if isinstance(given, int) and given > FORMAT:
        cause = f"has instructions of format {given}, made by a newer version"
        raise BadInput(where, cause, "upgrade chestgan")
    found = parse_typed(Instructions, value, where, REMEDY, "the provenance of a set")
    _ = found.series_rules
    return found


def picture_recipe(size: int) -> str:
    """As image_slices.recipe_version, of a size in pixels."""
    return content_version({"images": image_slices.VERSION, "size": size})

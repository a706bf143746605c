"""An experiment: one YAML file with dataset, network, training, evaluation and publication.

In: a name (a file `<name>.yaml` shipped in chestgan_core/config/experiments or put into $CHESTGAN_EXPERIMENTS) or a
path. Out: a frozen, validated Experiment. It holds everything that a model depends on besides the slices, so its
fingerprint together with the version of the training set names a training run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from chestgan_core.config.conditions import Conditions
from chestgan_core.config.dataset import dataset_named
from chestgan_core.config.evaluation_config import Evaluation
from chestgan_core.config.labels import class_key, comparable
from chestgan_core.config.names import dataset_files, experiment_files
from chestgan_core.config.network_config import CONDITIONED_FAMILIES, Network
from chestgan_core.config.release_rules import ReleaseRules
from chestgan_core.config.training_plan import (
    FREE_ON_RESUME,
    Fraction,
    Relativistic,
    TrainingPlan,
    Wasserstein,
)
from chestgan_core.config.yaml_models import Fields, Section, read_fields, validated
from chestgan_core.errors import BadExperiment, BadInput, nearest
from chestgan_core.store.artefacts import content_version

if TYPE_CHECKING:
    from chestgan_core.imaging.windows import Window

MAX_VANILLA_RESOLUTION = 128
# Fields that do not affect the trained weights: the name of the experiment, and what follows training.
NOT_IN_WEIGHTS = frozenset(
    {"name", "description", "evaluation", "release", "publication", "compute", "provenance"}
)
NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,62}$"


class CustomWindow(Section):
    """A window that has no name: centre and width in HU."""

    centre: float
    width: Annotated[float, Field(gt=0)]


class Publication(Section):
    """The synthetic set. images: their number; they come from the seeds first_seed, first_seed + 1, ...

    bits: 8 or 16 a pixel. 16 keeps what 8 round away: one of 256 grey levels of a window 1,500 HU wide is 5.9 HU.
    weights: whether the set holds the generator too, so that others make more of its images. tumour_fraction: of the
    images that are asked to show a tumour; the others surely show none. null: as among the training slices, with as
    many of which nothing is said.
    """

    images: Annotated[int, Field(ge=1)] = 200
    first_seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    bits: Literal[8, 16] = 8
    weights: bool = False
    tumour_fraction: Fraction | None = None


class Compute(Section):
    """Resources for the steps of this experiment. They do not affect the model.

    gpus: GPUs among which a training divides its batches, as far as the machine has them; null: one. Where each step
    has a pod of its own, they are requested for the pod: 0 trains on the CPU, and null takes the step's profile
    (chestgan_assets/execution/pod_profiles.yaml), as for cpu (cores) and memory_gib (main memory, not that of the GPU).
    slices: in `memory`, that of the GPU where there is one, or `mapped`: read batch by batch from a file on the local
    disk; auto: by their size and the memory that is free. $CHESTGAN_SLICES overrides it.
    """

    gpus: Annotated[int, Field(ge=0, le=16)] | None = None
    cpu: Annotated[float, Field(gt=0)] | None = None
    memory_gib: Annotated[float, Field(gt=0)] | None = None
    slices: Literal["auto", "memory", "mapped"] = "auto"


class Provenance(Section):
    """The trial of a study from which a tuned experiment comes, and its score.

    experiment: the one that was tuned. trials: of the study, pruned ones too. kid: against held-out patients. initial:
    that of the unchanged experiment in the same study; null where its trial was not completed. error: standard error of
    the difference between both. floor: KID of training patients against the same held-out ones, with as many images.
    None of them is times 1000. budget: of a trial, in words.
    """

    experiment: str
    study: str
    trial: Annotated[int, Field(ge=0)]
    trials: Annotated[int, Field(ge=1)]
    kid: float
    initial: float | None
    error: Annotated[float, Field(ge=0)] | None
    floor: float
    extractor: str
    images: Annotated[int, Field(ge=1)]
    training_set: str
    budget: str


class Experiment(Section):
    """One experiment. resolution: pixels per side, a power of two. seed: of the initial weights, the order of the
    slices and the noise. window: in Hounsfield units for CT; `grey` for images without them.

    classes: on which the generator is conditioned (histology letters of CT, folders of images); slices of other classes
    are not used. Empty: all slices. conditions: what the generator is told besides. min_patients_per_class: for
    training. provenance: of an experiment that a hyperparameter study wrote.
    """

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    description: str = ""
    dataset: str
    resolution: Annotated[int, Field(ge=16, le=512)] = 64
    window: Literal["lung", "wide", "grey"] | CustomWindow = "lung"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    classes: tuple[str, ...] = ()
    min_patients_per_class: Annotated[int, Field(ge=1)] = 10
    conditions: Conditions = Conditions()
    network: Network = Network()
    training: TrainingPlan
    evaluation: Evaluation = Evaluation()
    release: ReleaseRules = ReleaseRules()
    publication: Publication = Publication()
    compute: Compute = Compute()
    provenance: Provenance | None = None

    @model_validator(mode="after")
    def _fits_its_dataset(self) -> Self:
        if self.dataset not in (known := dataset_files()):
            raise ValueError(f"dataset: {self.dataset!r} is not known, {nearest(self.dataset, known)}")
        try:
            dataset = dataset_named(self.dataset)
        except BadInput as error:
            raise ValueError(f"dataset: {error}") from error
        size = dataset.slice_size
        if self.resolution > size:
            raise ValueError(
                f"resolution: {self.resolution} is more than the {size} pixels per side of slices of {self.dataset}; "
                f"choose {1 << (size.bit_length() - 1)} or less, or a dataset with a larger slice_size"
            )
        if dataset.has_hounsfield and self.window == "grey":
            raise ValueError(
                f"window: grey is for images without Hounsfield units, and {self.dataset} is CT; choose lung or wide"
            )
        if not dataset.has_hounsfield and self.window != "grey":
            raise ValueError(f"window: {self.dataset} has images without Hounsfield units; choose grey")
        return self

    @model_validator(mode="after")
    def _conditions_fit(self) -> Self:
        conditions, dataset = self.conditions, dataset_named(self.dataset)
        if conditions and not dataset.has_hounsfield:
            raise ValueError(
                f"conditions: {self.dataset} has pictures: neither positions in the body nor tumours are known; "
                "leave out position and tumour"
            )
        if self.publication.tumour_fraction is not None and conditions.tumour is None:
            raise ValueError(
                "publication.tumour_fraction: the generator is not told where tumours are, so no fraction of its "
                "images can be asked to show one; add conditions.tumour, or leave it out"
            )
        if conditions and self.network.family not in CONDITIONED_FAMILIES:
            raise ValueError(
                f"conditions: {self.network.family} takes neither positions nor tumours; choose the network "
                f"{', '.join(CONDITIONED_FAMILIES)}"
            )
        if conditions.tumour is not None and not dataset.annotations:
            raise ValueError(
                f"conditions.tumour: {self.dataset} names no annotations, so nobody knows where its tumours are; "
                "name them in the dataset, or leave out tumour"
            )
        return self

    @model_validator(mode="after")
    def _projection_fits(self) -> Self:
        projection = self.network.projection
        if projection is None:
            return self
        side, smallest = projection.size or self.resolution, 2 ** (max(projection.stages) + 1)
        if side < smallest:
            raise ValueError(
                f"network.projection: stage {max(projection.stages)} needs images of {smallest} pixels or more, not "
                f"{side}; leave it out, or choose a larger size"
            )
        if (self.classes or self.conditions) and not projection.pixel_weight:
            raise ValueError(
                "network.projection.pixel_weight: the heads are not told what an image was asked to be, only the "
                "discriminator of pixels is; give it a weight"
            )
        loss = self.training.loss
        if isinstance(loss, Wasserstein) or (isinstance(loss, Relativistic) and max(loss.gamma)):
            raise ValueError(
                "training.loss: the parts of projected are spectrally normalized, and take no gradient penalties and "
                "no clipping; choose hinge, cross-entropy, or relativistic with gamma [0, 0]"
            )
        if projection.features in self.evaluation.extractors:
            raise ValueError(
                f"evaluation: {projection.features} is the network on whose features the discriminator was trained, "
                "which flatters the generator; choose another extractor"
            )
        return self

    @field_validator("resolution")
    @classmethod
    def _is_a_power_of_two(cls, resolution: int) -> int:
        if resolution & (resolution - 1):
            below = 1 << (resolution.bit_length() - 1)
            raise ValueError(f"{resolution} is not a power of two; choose {below} or {2 * below}")
        return resolution

    @field_validator("classes")
    @classmethod
    def _are_classes(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        classes = tuple(class_key(name) for name in classes)
        if len(classes) == 1 or len(set(map(comparable, classes))) < len(classes) or "" in classes:
            raise ValueError("give two or more different classes, or none")
        return classes

    @model_validator(mode="after")
    def _loss_fits_the_network(self) -> Self:
        family, loss = self.network.family, self.training.loss
        if family == "vanilla" and self.resolution > MAX_VANILLA_RESOLUTION:
            raise ValueError(
                f"network: vanilla is for at most {MAX_VANILLA_RESOLUTION} pixels: its layers connect all of them"
            )
        if isinstance(loss, Wasserstein) and family in ("vanilla", "dcgan", "spectral"):
            raise ValueError(
                f"training.loss: wasserstein needs a critic; choose the network wgan, not {family}"
            )
        if isinstance(loss, Relativistic) and family == "dcgan" and max(loss.gamma):
            raise ValueError(
                f"training.loss: gradient penalties do not work with the batch normalization of {family}; "
                "choose the network r3, wgan or spectral"
            )
        if "E" in self.classes and dataset_named(self.dataset).has_hounsfield:
            raise ValueError(
                "classes: E (large cell carcinoma) has five patients in Lung-PET-CT-Dx: a generator would memorize "
                "them; leave it out"
            )
        return self

    @property
    def display_window(self) -> "Window":
        """The window with its centre and width."""
        from chestgan_core.imaging.windows import WINDOWS, Window

        if isinstance(self.window, str):
            return WINDOWS[self.window]
        return Window(self.window.centre, self.window.width)

    def fingerprint(self) -> str:
        """16 hexadecimal digits of what decides the trained weights: all fields but those of NOT_IN_WEIGHTS."""
        return content_version(self.model_dump(mode="json", exclude=set(NOT_IN_WEIGHTS)))


def resume_fields(experiment: Mapping[str, Any]) -> dict[str, Any]:
    """`seed` -> 0, `training.batch_size` -> 32 and so on: what must be equal for a checkpoint to be resumed.

    experiment: its fields as JSON gives them. Without those that do not affect the weights (NOT_IN_WEIGHTS), and those
    that a second attempt may change (FREE_ON_RESUME).
    """
    fields = {name: value for name, value in experiment.items() if name not in NOT_IN_WEIGHTS}
    training = fields.pop("training", {})
    fields |= {f"training.{name}": value for name, value in training.items() if name not in FREE_ON_RESUME}
    return _flatten(fields)


def _flatten(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        flat |= _flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def load_experiment(name_or_path: str | Path) -> Experiment:
    """Load an experiment.

    Args:
        name_or_path: Its name (shipped, in $CHESTGAN_EXPERIMENTS, or tuned), or the path of its YAML file.

    Returns:
        The experiment, frozen and validated.

    Raises:
        BadExperiment: The name is unknown (names the nearest ones), the file is not YAML (line), or a field is wrong
            (line, field, cause).

    Examples:
        >>> from chestgan_core.config.experiment import load_experiment
        >>> demo = load_experiment("demo")
        >>> demo.dataset, demo.resolution, demo.training.batch_size  # resolution in pixels
        ('phantom', 64, 32)
        >>> str(demo.display_window)
        '-1350 to 150 HU'
    """
    known = experiment_files()
    path = known.get(str(name_or_path)) or Path(name_or_path)
    if not path.is_file():
        raise BadExperiment(
            name_or_path, "is neither a known experiment nor a file", nearest(str(name_or_path), known)
        )
    fields = read_fields(path, "experiments", BadExperiment)
    if (name := fields.values.get("name", path.stem)) != path.stem:
        raise BadExperiment(path, f"has the name {name}", "leave the name out: it is that of the file")
    return validated(Experiment, fields, "experiment", BadExperiment, name=path.stem)


def parse_experiment(fields: Mapping[str, object], name: str, where: object) -> Experiment:
    """An Experiment from fields as YAML or JSON gives them. where: named by errors. Raises BadExperiment."""
    return validated(Experiment, Fields({"name": name, **fields}, where), "experiment", BadExperiment)

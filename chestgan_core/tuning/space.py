"""A search space as data: which fields of an experiment a study varies, and over which values.

In: a name (a file `<name>.yaml` shipped in chestgan_core/tuning/spaces or put into $CHESTGAN_SPACES) or a path. Out: a
frozen, validated SearchSpace, whose parameters are paths into an Experiment (`training.optimizer.lr`); and, from
drawn values, an experiment.
"""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, field_validator, model_validator

from chestgan_core.config.experiment import Experiment
from chestgan_core.config.names import files_in
from chestgan_core.config.yaml_models import Fields, Section, read_fields, sections_in, validated
from chestgan_core.errors import BadExperiment, nearest

SHIPPED = Path(__file__).parent / "spaces"
VARIED = ("network", "training")
# What a study sets by itself: budget, validation and records of a trial.
SET_BY_STUDY = (
    "minutes",
    "images",
    "epochs",
    "validation",
    "checkpoint_every_images",
    "sample_every_images",
    "snapshots",
)

BATCH_SIZE = "training.batch_size"

Value: TypeAlias = float | int | str


class BadSpace(BadExperiment):
    """A search space that cannot be used; names file, line and field."""


class Number(Section):
    """A real number from low to high; log: uniform on a logarithmic scale."""

    kind: Literal["number"]
    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _is_a_span(self) -> Self:
        _check_span(self)
        return self

    def value(self, drawn: Value) -> object:
        """The field of the experiment for a drawn value."""
        return float(drawn)

    def drawn(self, value: object, experiment: Experiment, path: str) -> Value | None:
        """The drawn value that gives the experiment's present one; None where that lies outside of the span."""
        fits = isinstance(value, int | float) and self.low <= value <= self.high
        return float(value) if fits else None  # type: ignore[arg-type]


class Integer(Section):
    """A whole number from low to high, both included; log: uniform on a logarithmic scale."""

    kind: Literal["integer"]
    low: int
    high: int
    log: bool = False

    @model_validator(mode="after")
    def _is_a_span(self) -> Self:
        _check_span(self)
        return self

    def value(self, drawn: Value) -> object:
        """The field of the experiment for a drawn value."""
        return int(drawn)

    def drawn(self, value: object, experiment: Experiment, path: str) -> Value | None:
        """The drawn value that gives the experiment's present one; None where that lies outside of the span."""
        return value if isinstance(value, int) and self.low <= value <= self.high else None


class Choice(Section):
    """One of several values: a list of scalars, or named sections (`none: null` names an absent section)."""

    kind: Literal["choice"]
    choices: Annotated[dict[str, Any], Field(min_length=1)]

    @field_validator("choices", mode="before")
    @classmethod
    def _name_scalars(cls, choices: object) -> object:
        if isinstance(choices, list):
            named = {str(value): value for value in choices}
            if len(named) < len(choices):
                raise ValueError("two choices are the same; leave one of them out")
            return named
        return choices

    def value(self, drawn: Value) -> object:
        """The field of the experiment for the name of a choice."""
        return self.choices[str(drawn)]

    def drawn(self, value: object, experiment: Experiment, path: str) -> Value | None:
        """The choice that the experiment has at present, or None. Sections are compared with all their defaults."""
        for name in self.choices:
            try:
                other = with_values(experiment, {path: self.choices[name]}, f"choice {name}")
            except BadExperiment:
                continue
            if value_at(other.model_dump(mode="json"), path) == value:
                return name
        return None


Parameter: TypeAlias = Annotated[Number | Integer | Choice, Field(discriminator="kind")]


def _checked_path(path: str) -> str:
    """The path itself. Raises ValueError: not a field of an experiment, or one that a study must not vary."""
    first, _, rest = path.partition(".")
    if first not in VARIED:
        raise ValueError(f"all trials use the same slices, so a path begins with {' or '.join(VARIED)}")
    if rest.partition(".")[0] in SET_BY_STUDY and first == "training":
        raise ValueError("budget, validation and records of a trial are set by the study; leave it out")
    sections: list[type[Section]] = [Experiment]
    for step in path.split("."):
        found = [
            section.model_fields[step].annotation for section in sections if step in section.model_fields
        ]
        if not found:
            known = {name for section in sections for name in section.model_fields}
            raise ValueError(f"{step!r} is not a field; {nearest(step, known)}")
        sections = [section for annotation in found for section in sections_in(annotation)]
    return path


class SearchSpace(Section):
    """parameters: path into the experiment -> what its value is drawn from."""

    name: str
    description: str = ""
    parameters: Annotated[dict[Annotated[str, AfterValidator(_checked_path)], Parameter], Field(min_length=1)]

    def experiment(self, base: Experiment, drawn: Mapping[str, Value], what: object) -> Experiment:
        """The experiment with drawn values. what: named by an error. Raises BadExperiment: they do not fit together."""
        return with_values(
            base, {path: self.parameters[path].value(value) for path, value in drawn.items()}, what
        )

    def fitting(self, base: Experiment, slices: int) -> Self:
        """The space without values that no trial can use: batches larger than the set of `slices` training slices, and
        choices that the experiment allows with no choice of the other parameters.

        Raises BadSpace: nothing is left of a parameter.
        """
        fitting: dict[str, Parameter] = {}
        for path, parameter in self.parameters.items():
            if isinstance(parameter, Choice):
                left = {
                    name: value
                    for name, value in parameter.choices.items()
                    if not (path == BATCH_SIZE and value > slices) and self._is_allowed(base, path, value)
                }
                fitting[path] = parameter.model_copy(update={"choices": left})
                nothing = not left
            elif path == BATCH_SIZE:
                high = min(parameter.high, slices)
                fitting[path] = parameter.model_copy(update={"high": high})
                nothing = high <= parameter.low
            else:
                fitting[path], nothing = parameter, False
            if nothing:
                raise BadSpace(
                    f"search space {self.name}",
                    f"no value of {path} works with {base.name} and its {slices:,} training slices",
                    f"widen {path}, or leave it out",
                )
        return self.model_copy(update={"parameters": fitting})

    def _is_allowed(self, base: Experiment, path: str, value: object) -> bool:
        others = [
            {other: choice}
            for other, parameter in self.parameters.items()
            if isinstance(parameter, Choice) and other != path
            for choice in parameter.choices.values()
        ]
        for beside in ({}, *others):
            try:
                with_values(base, {path: value, **beside}, path)
            except BadExperiment:
                continue
            return True
        return False

    def drawn(self, experiment: Experiment) -> dict[str, Value]:
        """The present values of an experiment by path, where they lie in the space."""
        fields = experiment.model_dump(mode="json")
        found = {
            path: parameter.drawn(value_at(fields, path), experiment, path)
            for path, parameter in self.parameters.items()
        }
        return {path: value for path, value in found.items() if value is not None}


def space_files() -> dict[str, Path]:
    """Name -> YAML file; a file in $CHESTGAN_SPACES hides a shipped one. Raises BadSpace: that is not a folder."""
    return files_in(SHIPPED, "CHESTGAN_SPACES", BadSpace)


def load_space(name_or_path: str | Path) -> SearchSpace:
    """A search space by name or path.

    Raises BadSpace: unknown name (with the nearest known ones), broken YAML (line), a wrong field (line, name, cause).
    """
    known = space_files()
    path = known.get(str(name_or_path)) or Path(name_or_path)
    if not path.is_file():
        raise BadSpace(
            f"search space {name_or_path}",
            "is neither a known space nor a file",
            nearest(str(name_or_path), known),
        )
    fields = read_fields(path, "spaces", BadSpace)
    space = validated(SearchSpace, fields, "space", BadSpace, name=path.stem)
    for name, parameter in space.parameters.items():
        # One may be left for a small set (`fitting`), but a file that names one is a mistake.
        if isinstance(parameter, Choice) and len(parameter.choices) < 2:
            line = fields.line(("parameters", name))
            raise BadSpace(
                path, f"line {line}: {name} has only one of choices", "name another, or leave it out"
            )
    return space


def with_values(base: Experiment, values: Mapping[str, object], what: object) -> Experiment:
    """The experiment with other values at some paths; a section is set before fields in it. Raises BadExperiment."""
    fields = base.model_dump(mode="json")
    for path, value in sorted(values.items()):
        *sections, last = path.split(".")
        inner = fields
        for section in sections:
            if inner[section] is None:
                inner[section] = {}
            inner = inner[section]
        inner[last] = copy.deepcopy(value)
    return validated(Experiment, Fields(fields, what), "experiment", BadExperiment)


def value_at(fields: Mapping[str, Any], path: str) -> object:
    """The value at a path; None where a section of it is absent."""
    value: Any = fields
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _check_span(span: Number | Integer) -> None:
    if span.low >= span.high:
        raise ValueError(f"low {span.low} is not below high {span.high}")
    if span.log and span.low <= 0:
        raise ValueError(f"low is {span.low}, and must be above 0 on a log scale; raise it, or leave log out")

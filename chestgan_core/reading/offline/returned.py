"""Answer files that come back from readers: files of strangers, until they are checked.

In: bytes of JSON, a frozen study, the sealed keys in the store. Out: StudyAnswers for the analysis. The truth is not
needed here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from chestgan_core.errors import BadInput, DamagedObject, NotInStore
from chestgan_core.local.files import file_error, open_regular
from chestgan_core.local.json_text import parse_json
from chestgan_core.reading.answers import Answer, AnsweredAt, OneToFive, Reader, Said, Share, StudyAnswers
from chestgan_core.reading.design import Name, StudyDesign, Truth
from chestgan_core.reading.images.frozen_study import FrozenStudy
from chestgan_core.reading.offline.sealed_key import Id, SealedKey, stored_key
from chestgan_core.reading.stored_answers import require_consistent
from chestgan_core.store.artefacts import parse_typed
from chestgan_core.store.store import Store

MAX_BYTES = 50_000_000
REMEDY = "ask the reader for the file that the page saved"


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReturnedAnswer(_Row):
    """One answer, as in chestgan_core.reading.answers.Answer. id: the image's random name in the page."""

    id: Id
    rating: Annotated[int, Field(ge=1, le=10)]
    verdict: Truth | None
    confidence: OneToFive | None
    tumour_seen: bool | None
    tumour_x: Share | None
    tumour_y: Share | None
    conspicuity: OneToFive | None
    seconds: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
    answered_at: AnsweredAt


class ReturnedFile(_Row):
    """What the page saves. seal: sha256 of the key, as the page had it."""

    kind: Literal["chestgan-reading-answers"]
    format: Literal[1]
    study: Name
    version: Name
    reader: Name
    seal: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    profession: Said
    specialty: Said
    years: Annotated[int, Field(ge=0, le=80)] | None
    finished: bool
    answers: Annotated[tuple[ReturnedAnswer, ...], Field(max_length=10_000)]


def read_returned(path: Path) -> ReturnedFile:
    """One file. Raises BadInput: not a file that the page saved."""
    try:
        with open_regular(path) as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise file_error(path, error) from error
    if len(data) > MAX_BYTES:
        raise BadInput(path, f"has more than {MAX_BYTES:,} bytes", REMEDY)
    try:
        return parse_typed(
            ReturnedFile, parse_json(data, str(path), REMEDY), str(path), REMEDY, "an answer file"
        )
    except DamagedObject as error:
        raise BadInput(path, error.cause, REMEDY) from error


def collect_answers(store: Store, study: FrozenStudy, paths: Sequence[Path]) -> StudyAnswers:
    """The answers of all files, one per reader.

    Raises BadInput with the file: of another study or version, a reader without a key or with another one, an image
    that the page did not have, one twice, one skipped, an answer to what was not asked or none to what was, two files
    of one reader; DamagedObject, StoreError.
    """
    readers: dict[str, Path] = {}
    joined = []
    for path in paths:
        found = read_returned(path)
        key = _key_of(store, study, found, path)
        if found.reader in readers:
            cause = f"is of the reader {found.reader}, as {readers[found.reader]} is"
            raise BadInput(path, cause, "give the newest file of each reader")
        readers[found.reader] = path
        joined.append(join(found, key, study.design, path))
    collected = StudyAnswers(
        study=study.design.name,
        version=study.version,
        readers=tuple(reader for reader, _ in joined),
        answers=tuple(answer for _, answers in joined for answer in answers),
    )
    require_consistent(collected)
    return collected


def join(
    found: ReturnedFile, key: SealedKey, design: StudyDesign, path: Path
) -> tuple[Reader, tuple[Answer, ...]]:
    """A file and its key: the reader, and the answers to images of the study. Raises BadInput, with the path."""
    answers = _answers(found, key, design, path)
    reader = Reader(
        reader=found.reader,
        profession=found.profession,
        specialty=found.specialty,
        years=found.years,
        presentations=len(key.shown),
        finished=len(answers) == len(key.shown),
    )
    return reader, answers


def _key_of(store: Store, study: FrozenStudy, found: ReturnedFile, path: Path) -> SealedKey:
    if (found.study, found.version) != (study.design.name, study.version):
        cause = f"is of the study {found.study} {found.version}, not of {study.design.name} {study.version}"
        raise BadInput(path, cause, "name its study with --study, and its version with --version")
    try:
        key = stored_key(store, study, found.reader)
    except NotInStore as error:
        cause = f"is of the reader {found.reader}, for whom no file was made here"
        raise BadInput(path, cause, "use the store in which the file was made") from error
    if key.seal != found.seal:
        raise BadInput(path, "was made with another key than the one in the store", REMEDY)
    return key


def _answers(found: ReturnedFile, key: SealedKey, design: StudyDesign, path: Path) -> tuple[Answer, ...]:
    places: Mapping[str, int] = {shown.id: place for place, shown in enumerate(key.shown)}
    answers = []
    for number, one in enumerate(found.answers):
        what = f"answer {number + 1} "
        place = places.get(one.id)
        if place is None:
            raise BadInput(path, f"{what}is to an image that the page did not have", REMEDY)
        if place < number:
            raise BadInput(path, f"{what}is the second one to the same image", REMEDY)
        if place > number:
            raise BadInput(path, f"{what}skips an image", REMEDY)
        if fault := _fault(one, design):
            raise BadInput(path, f"{what}{fault}", REMEDY)
        shown = key.shown[place]
        fields = one.model_dump(exclude={"id"})
        answers.append(
            Answer(reader=found.reader, item=shown.item, part=shown.part, position=place, **fields)
        )
    if found.finished != (len(answers) == len(key.shown)):
        raise BadInput(path, f"has {len(answers)} of {len(key.shown)} answers, and says otherwise", REMEDY)
    return tuple(answers)


def _fault(one: ReturnedAnswer, design: StudyDesign) -> str:
    """What does not fit to what was asked; empty where all does."""
    seen = one.tumour_seen is True
    where = (one.tumour_x, one.tumour_y, one.conspicuity)
    given = {
        "verdict": (one.verdict is not None, design.ask_verdict),
        "confidence": (one.confidence is not None, design.ask_verdict),
        "tumour": (one.tumour_seen is not None, design.ask_tumour),
        "place and conspicuity of the tumour": (None not in where, seen),
    }
    for name, (there, wanted) in given.items():
        if there != wanted:
            return f"has {'no' if wanted else 'a'} {name}"
    return "" if seen or where == (None, None, None) else "has half a place of a tumour"

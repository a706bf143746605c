"""Answer files of reader studies, as readers send them back."""

import csv
import io
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fuzz.kind import LEFT_OUT, Outcome, refusable
from fuzz.mutation import encoded, plain_data, several, some_bytes

IMAGES = 12


def warm_up() -> None:
    """Import what reads answers, before the address space is limited."""
    import chestgan_core.reading.offline.returned  # noqa: F401


def make(rng: random.Random, seeds: Path, folder: Path) -> dict[str, Any]:
    """A complete or an unfinished file, with values or bytes changed."""
    file = _file(rng.choice((IMAGES, IMAGES, 5, 0)))
    for _ in range(rng.choice((0, 1, 1, 2))):
        plain_data(rng, file)
    data = encoded(json.dumps(file, ensure_ascii=rng.random() < 0.5))
    if rng.random() < 0.15:
        data = several(rng, data, (some_bytes,))
    (folder / "answers.json").write_bytes(data)
    return {}


def read(folder: Path, facts: Mapping[str, Any]) -> Outcome:
    """From the file to the table for spreadsheets, in which no cell is a formula."""
    from chestgan_core.reading.answers import StudyAnswers
    from chestgan_core.reading.offline.returned import join, read_returned
    from chestgan_core.reading.stored_answers import answers_csv, require_consistent

    outcome = Outcome()
    path = folder / "answers.json"

    def all_of_it() -> StudyAnswers:
        key = _key()
        reader, answers = join(read_returned(path), key, _design(), path)
        collected = StudyAnswers(study=key.study, version=key.version, readers=(reader,), answers=answers)
        require_consistent(collected)
        return collected

    collected = refusable(outcome, all_of_it)
    if collected is None:
        return outcome
    if len(collected.answers) < IMAGES:
        outcome.worse(LEFT_OUT)
    for cell in (one for row in csv.reader(io.StringIO(answers_csv(collected))) for one in row):
        if cell.startswith(("=", "+", "-", "@", "\t", "\r")):
            outcome.worse(LEFT_OUT, "a cell of the table is a formula")
    return outcome


def _id(number: int) -> str:
    return f"{number:032x}"


def _file(count: int) -> dict[str, Any]:
    answer = {
        "rating": 7,
        "verdict": "real",
        "confidence": 3,
        "tumour_seen": True,
        "tumour_x": 0.25,
        "tumour_y": 0.5,
        "conspicuity": 2,
        "seconds": 4.5,
        "answered_at": "2026-11-01T12:00:00.000Z",
    }
    return {
        "kind": "chestgan-reading-answers",
        "format": 1,
        "study": "study",
        "version": "v1",
        "reader": "r1",
        "seal": "0" * 64,
        "profession": "radiologist",
        "specialty": "",
        "years": 7,
        "finished": count == IMAGES,
        "answers": [{"id": _id(number), **answer} for number in range(count)],
    }


def _design() -> Any:
    from chestgan_core.reading.design import StudyDesign

    fields = {"name": "study", "title": "t", "set_name": "set", "set_version": "s1", "images_per_side": 6}
    return StudyDesign.model_validate({**fields, "warm_up": 0, "repeats": 0, "ask_tumour": True})


def _key() -> Any:
    from chestgan_core.reading.offline.sealed_key import SealedKey, Shown

    return SealedKey(
        study="study",
        version="v1",
        reader="r1",
        seed=0,
        truth_sha256="0" * 64,
        shown=tuple(Shown(id=_id(number), item=number, part="main") for number in range(IMAGES)),
    )

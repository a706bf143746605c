"""The answers of a study in the store, and as a table for other programs.

In: StudyAnswers, from a database or from offline files. Out: `reading/answers/<set>/<study>/<version>/answers.json`,
the pointer to the newest answers about a set, and CSV. The version is a hash of the answers.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable

from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.escaping import csv_cell
from chestgan_core.local.json_text import parse_json
from chestgan_core.reading.answers import Answer, Reader, StudyAnswers
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact, canonical_json, content_version, parse_typed
from chestgan_core.store.store import Store

ANSWERS = "answers.json"
REMEDY = "close the study again, or score its files again"
MAX_BYTES = 2**31


def commit_answers(store: Store, set_name: str, answers: StudyAnswers) -> Artefact:
    """Commit the answers and make them the newest about the set; the same answers give the same version.

    Raises BadInput (see `require_consistent`), StoreError.
    """
    require_consistent(answers)
    data = canonical_json(answers.model_dump(mode="json"))
    version = content_version(data)
    fields = {
        "kind": "reader-study-answers",
        "set": set_name,
        "study": answers.study,
        "study_version": answers.version,
        "version": version,
        "readers": len(answers.readers),
        "answers": len(answers.answers),
    }
    artefact = store.commit(
        keys.reader_answers_manifest(set_name, answers.study, version), {ANSWERS: data}, fields
    )
    pointer = {"study": answers.study, "version": version}
    store.update_pointer(keys.reader_answers_latest(set_name), pointer)
    return artefact


def read_answers(store: Store, set_name: str, study: str, version: str) -> StudyAnswers:
    """Committed answers, checked. version: of the answers. Raises NotInStore, DamagedObject."""
    artefact = store.read_manifest(keys.reader_answers_manifest(set_name, study, version))
    where = f"{store.uri(artefact.manifest_key)}: {ANSWERS}"
    if artefact.bytes > MAX_BYTES:
        raise DamagedObject(where, f"has {artefact.bytes:,} bytes, too many for answers", REMEDY)
    fields = parse_json(store.read(artefact, ANSWERS), where, REMEDY)
    answers = parse_typed(StudyAnswers, fields, where, REMEDY, "the answers to a reader study")
    if answers.study != study:
        raise DamagedObject(where, "holds the answers to another study", REMEDY)
    try:
        require_consistent(answers)
    except BadInput as error:
        raise DamagedObject(where, error.cause, REMEDY) from error
    return answers


def newest_answers(store: Store, set_name: str) -> StudyAnswers:
    """The answers about a set that were committed last. Raises NotInStore (there are none), DamagedObject."""
    study, version = store.read_pointer(keys.reader_answers_latest(set_name), "study", "version")
    return read_answers(store, set_name, study, version)


def require_consistent(answers: StudyAnswers) -> None:
    """One answer at most per reader and place in the order, and per reader, image and part; all of listed readers, and
    as many as a finished order has. Raises BadInput.
    """
    what = f"answers to {answers.study}"
    remedy = "give each answer once, with its reader"
    for name, count in Counter(one.reader for one in answers.readers).items():
        if count > 1:
            raise BadInput(what, f"list the reader {name} {count} times", remedy)
    _require_once(what, "position", ((one.reader, one.position) for one in answers.answers), remedy)
    _require_once(what, "image", ((one.reader, one.item, one.part) for one in answers.answers), remedy)
    given = Counter(one.reader for one in answers.answers)
    listed = {one.reader: one for one in answers.readers}
    if unknown := sorted(given.keys() - listed.keys()):
        raise BadInput(what, f"have {given[unknown[0]]} of {unknown[0]}, who is not listed", remedy)
    for name, reader in listed.items():
        if given[name] > reader.presentations or (reader.finished and given[name] < reader.presentations):
            finished = "finished" if reader.finished else "unfinished"
            cause = f"have {given[name]} of {name}, {finished}, who was shown {reader.presentations}"
            raise BadInput(what, cause, remedy)
    for one in answers.answers:
        if one.position >= listed[one.reader].presentations:
            cause = f"have one at position {one.position} of the {listed[one.reader].presentations} of {one.reader}"
            raise BadInput(what, cause, remedy)


def _require_once(what: str, of: str, found: Iterable[tuple[object, ...]], remedy: str) -> None:
    twice = next((key for key, count in Counter(found).items() if count > 1), None)
    if twice is not None:
        raise BadInput(what, f"have two for {of} {twice[1]} of {twice[0]}", remedy)


def answers_csv(answers: StudyAnswers) -> str:
    """One line per answer, with what its reader said of himself or herself. The truth is not in it.

    Cells that a spreadsheet would run as a formula begin with an apostrophe.
    """
    readers = {reader.reader: reader for reader in answers.readers}
    of_reader = [name for name in Reader.model_fields if name != "reader"]
    of_answer = list(Answer.model_fields)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["study", "version", *of_answer, *of_reader])
    for answer in answers.answers:
        own, reader = answer.model_dump(mode="json"), readers[answer.reader].model_dump(mode="json")
        cells = [answers.study, answers.version, *map(own.get, of_answer), *map(reader.get, of_reader)]
        table.writerow([csv_cell(value) for value in cells])
    return text.getvalue()

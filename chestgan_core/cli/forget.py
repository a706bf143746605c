"""`chestgan forget`: a patient withdraws."""

import argparse
import getpass
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chestgan_core.cli.parser import Answer, Commands, Parser, add_command
from chestgan_core.errors import BadInput, ChestganError
from chestgan_core.local.home import home

if TYPE_CHECKING:
    from chestgan_core.config.dataset import Dataset
    from chestgan_core.store.store import Store

_MAX_ID = 1_000  # characters; a PatientID has 64 at most


def add_to(commands: Commands) -> None:
    """The command and its options."""
    parser: Parser = add_command(
        commands,
        "forget",
        forget,
        "List everything that came of a patient, and with --apply delete it and keep the patient out.",
        "Without --apply nothing is changed. A PatientID is read from standard input, never from the command line, "
        "which others of the machine can see.",
    )
    parser.add_argument(
        "patient",
        metavar="DATASET:PATIENT",
        help="key of the patient, as Dagster shows it; only DATASET with --patient-id",
    )
    parser.add_argument(
        "--patient-id",
        action="store_true",
        help="read the PatientID of the files from standard input, and find the key by it",
    )
    parser.add_argument(
        "--apply", action="store_true", help="delete, withdraw and record; asks before it does"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask; for scripts")
    parser.add_argument(
        "--by", default="", metavar="NAME", help="who does it, for the record (default: nobody is named)"
    )


def forget(args: argparse.Namespace) -> Answer:
    """List, or delete; exit status 1 where something was left."""
    from chestgan_core.config.names import patient_partition
    from chestgan_core.forgetting.naming import patient_named, patient_of_id
    from chestgan_core.store.embedded import open_store

    where = home()
    if args.patient_id:
        dataset, patient = patient_of_id(args.patient.partition(":")[0], _read_id(), where)
    else:
        dataset, patient = patient_named(args.patient)
    with open_store(where) as store:
        return _forget(store, dataset, patient, patient_partition(dataset.name, patient), where, args)


def _forget(
    store: "Store", dataset: "Dataset", patient: str, key: str, where: Path, args: argparse.Namespace
) -> Answer:
    from chestgan_core.forgetting.forget import forget_patient
    from chestgan_core.forgetting.naming import require_known
    from chestgan_core.forgetting.outside import same_name_elsewhere
    from chestgan_core.forgetting.page import done_text, forgotten_text, found_text
    from chestgan_core.forgetting.record import read_records
    from chestgan_core.forgetting.walk import find_traces
    from chestgan_core.store.erasing import versioning_of
    from chestgan_core.store.forgotten import tombstone_of

    tombstone = tombstone_of(store, dataset.name, patient)
    found = find_traces(store, dataset.name, patient, where, versioning_of(store))
    if tombstone is None:
        require_known(store, dataset, patient, found)
    data: dict[str, Any] = {
        "dataset": dataset.name,
        "patient": patient,
        "forgotten_at": tombstone.at if tombstone else None,
        "found": found.counted(),
        "keys": found.keys,
        "remaining": [vars(one) for one in found.remaining],
        "same_name_elsewhere": same_name_elsewhere(store, dataset.name, patient),
    }
    if not args.apply or (tombstone is not None and not found.traces):
        if tombstone is not None:
            records = read_records(store, dataset.name, patient)
            data["records"] = [record.as_json() for record in records]
            return Answer(data, forgotten_text(key, tombstone.at, records, found))
        return Answer(data, found_text(key, found) + _elsewhere(data) + _how_to_apply(key, args))
    if not args.yes:
        _confirm(key, found_text(key, found) + _elsewhere(data))
    command = f"chestgan forget {key} --apply" + (" --yes" if args.yes else "")
    done = forget_patient(store, dataset, patient, where, command, args.by)
    data = {**data, **done.as_json(), "exit_status": 0 if done.complete else 1}
    return Answer(data, done_text(key, done) + _elsewhere(data))


def _read_id() -> str:
    """One line of standard input; on a terminal it is not shown."""
    if sys.stdin.isatty():
        return getpass.getpass("PatientID (not shown): ", stream=sys.stderr)
    line = sys.stdin.readline(_MAX_ID + 1)
    if len(line) > _MAX_ID:
        raise BadInput("the PatientID", f"has more than {_MAX_ID} characters", "write one line")
    return line.rstrip("\r\n")


def _confirm(key: str, text: str) -> None:
    """Show what will be deleted, and have the key typed. Raises ChestganError: another answer, or nobody to ask."""
    if not sys.stdin.isatty():
        raise BadInput("--apply", "asks for a confirmation, and nobody can answer", "add --yes")
    print(
        f"{text}\n\nThis cannot be undone. Type {key} to delete all of it: ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    if sys.stdin.readline().strip() != key:
        raise ChestganError(key, "was not typed, so nothing was changed", "run it again and type the key")


def _elsewhere(data: Mapping[str, Any]) -> str:
    others = data["same_name_elsewhere"]
    if not others:
        return ""
    return f"\n\na patient of the same name is also in: {', '.join(others)}; forget each of them"


def _how_to_apply(key: str, args: argparse.Namespace) -> str:
    given = f"{args.patient} --patient-id" if args.patient_id else key
    return f"\n\nnothing was changed; to delete all of it: chestgan forget {given} --apply --by YOUR-NAME"

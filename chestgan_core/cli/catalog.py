"""`chestgan catalog`: what would be downloaded of a collection. No store is needed."""

import argparse
from pathlib import Path

from chestgan_core.cli.parser import Answer, Commands, add_command
from chestgan_core.escaping import escaped
from chestgan_core.local.home import home


def add_to(commands: Commands) -> None:
    """The command and its options."""
    parser = add_command(
        commands,
        "catalog",
        catalog,
        "List the series of a collection: which would be downloaded, and why the others would not.",
    )
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="idc (the installed index of the Imaging Data Commons), nbia (the NBIA server), folder, images, phantom; "
        "or the path of an index (CSV, Parquet), of a metadata.csv from the NBIA Data Retriever, of a folder of DICOM "
        "files, or, with --dataset, of a folder of images",
    )
    parser.add_argument(
        "--dataset",
        metavar="NAME",
        help="dataset whose collection and selection rules apply (default: the one that fits SOURCE)",
    )


def catalog(args: argparse.Namespace) -> Answer:
    """The series or the images of a collection, each selected or left out for a reason."""
    from chestgan_core.config.dataset import dataset_named
    from chestgan_core.dicom.left_out import without_names
    from chestgan_core.sources.catalog.listing import list_named
    from chestgan_core.sources.catalog.table import as_text

    if args.dataset and not dataset_named(args.dataset).has_hounsfield:
        from chestgan_core.sources.images.collection import summarize_images

        path = None if args.source == "images" else Path(args.source)
        summary = summarize_images(args.dataset, path, home())
        return Answer(summary.as_json(), summary.text())
    dataset, listed = list_named(args.source, args.dataset, home())
    causes, doubts = listed.causes, listed.doubts
    if dataset.private:  # the table names files to whoever sits here; JSON goes into files and other programs
        causes, doubts = without_names(causes), without_names(doubts)
    data = {
        "dataset": dataset.name,
        **listed.summary().as_json(),
        "files": listed.files,
        "left_out_files": listed.left_out,
        "causes": [cause.as_json() for cause in causes],
        "warnings": [doubt.as_json() for doubt in doubts],
        "selected_series": [{"patient": row.patient, "key": row.key} for row in listed.selected],
    }
    return Answer(data, as_text(f"{escaped(args.source)}, with the rules of {dataset.name}", listed))

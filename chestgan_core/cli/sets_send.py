"""`chestgan sets send`: the DICOM files of a set to an archive."""

import argparse
from pathlib import Path

from chestgan_core.cli.parser import Answer, Commands, add_command, positive
from chestgan_core.escaping import escaped

OTHERS = ("refuse", "skip", "send")  # of stow_files.py, whose module reads DICOM (a test compares them)


def add_to(group: Commands) -> None:
    """The command and its options."""
    parser = add_command(
        group,
        "send",
        send,
        "Send a folder of synthetic DICOM files to an archive by STOW-RS (DICOMweb).",
        "User and password, or a bearer token, are environment variables: CHESTGAN_DICOMWEB_USER and "
        "CHESTGAN_DICOMWEB_PASSWORD, or CHESTGAN_DICOMWEB_TOKEN. Files that the archive has acknowledged are not sent "
        "again. Exit status: 1, a file was not stored; 0, all of them are there.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder with the DICOM files")
    parser.add_argument(
        "address", metavar="URL", help="root of the DICOMweb service, such as https://server/dicom-web"
    )
    parser.add_argument(
        "--others",
        choices=OTHERS,
        default="refuse",
        metavar="refuse|skip|send",
        help="DICOM files that do not say that they are synthetic: refuse the folder (default), leave them out, or "
        "send them, real patients too",
    )
    parser.add_argument(
        "--anew", action="store_true", help="send again what was acknowledged, as after a loss in the archive"
    )
    parser.add_argument(
        "--batch-mb",
        type=positive,
        default=32,
        metavar="MB",
        help="size of one request, but at least one file (default: 32)",
    )


def send(args: argparse.Namespace) -> Answer:
    """Send one folder."""
    from chestgan_core.publishing.dicom_export.stow import send_folder

    done = send_folder(
        args.folder, args.address, others=args.others, anew=args.anew, batch_bytes=args.batch_mb * 10**6
    )
    return Answer(done.as_json(), "\n".join(map(escaped, done.lines())))

"""`chestgan sets convert`, and the options with which `chestgan sets fetch` converts."""

import argparse
from pathlib import Path

from chestgan_core.cli.parser import Answer, Commands, Parser, add_command, add_out, positive
from chestgan_core.escaping import escaped

FORMS = (
    "png",
    "tar",
    "npz",
    "hounsfield",
    "dicom",
    "coco",
    "voc",
    "yolo",
)  # of publishing/forms/registry.py, which takes time to import


def add_to(group: Commands) -> None:
    """The command and its options."""
    parser = add_command(
        group,
        "convert",
        convert,
        "Convert a fetched set into another form: PNG, tars, NPZ, HU, DICOM, COCO, PASCAL VOC, YOLO; or a form into "
        "another one.",
        "Images keep their number, seed and sha256. An interrupted conversion is completed when it is run again.",
    )
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="folder of chestgan sets fetch or chestgan sets convert"
    )
    _add_form(parser, "--to", required=True)
    add_out(parser, "folder for the converted set")
    _add_choice(parser)


def add_conversion(parser: Parser) -> None:
    """The options of a command that may convert what it has: --format, --class, --count."""
    _add_form(parser, "--format", required=False)
    _add_choice(parser)


def _add_form(parser: Parser, option: str, required: bool) -> None:
    parser.add_argument(
        option,
        required=required,
        choices=FORMS,
        metavar="FORM",
        dest="form",
        help="png: PNG and labels.csv; tar: for WebDataset and Hugging Face; npz: MedMNIST's form; hounsfield: "
        "the same in HU; dicom: CT images; coco, voc, yolo: images with boxes, for detectors"
        + (
            ""
            if required
            else " (default: the whole set as it was published, or tar where images are chosen)"
        ),
    )


def _add_choice(parser: Parser) -> None:
    parser.add_argument(
        "--class",
        dest="classes",
        nargs="+",
        action="extend",
        default=[],
        metavar="CLASS",
        help="only images of these classes",
    )
    parser.add_argument(
        "--count",
        type=positive,
        metavar="N",
        help="only the first N of them; classes take turns, so each is there equally often",
    )


def convert(args: argparse.Namespace) -> Answer:
    """Convert one folder."""
    return convert_folder(args, args.folder, args.form, args.out)


def convert_folder(args: argparse.Namespace, folder: Path, form: str, out: Path) -> Answer:
    """Convert a folder by the options of the command."""
    from chestgan_core.publishing.forms.convert import convert_set

    done = convert_set(folder, form, out, args.classes, args.count)
    text = f"{done.images:,} images of {done.name} {done.version} as {done.form}: {done.folder}"
    if done.left_out:
        text += f"; {done.left_out:,} left out, of which is not known where their tumours are"
    return Answer(done.as_json(), escaped(text))

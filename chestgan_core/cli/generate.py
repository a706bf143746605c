"""`chestgan generate`: images from numbered seeds, of what a person asks for."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chestgan_core.cli.parser import (
    Answer,
    Commands,
    Parser,
    add_command,
    add_device,
    add_out,
    add_seed,
    fraction,
    millimetres,
    positive,
)
from chestgan_core.errors import BadInput
from chestgan_core.escaping import escaped

if TYPE_CHECKING:
    from chestgan_core.training.weights import LoadedGenerator

ABOUT = "Generate images from numbered seeds, as slices in HU or as PNG files."
MORE = (
    "A model that was trained with conditions can be told what an image shows. Its input is noise: there is no option "
    "that takes an image, so it never puts a tumour into the scan of a person."
)
_ASKED = ("tumour", "position", "class_name", "tumour_fraction")


def add_to(commands: Commands) -> None:
    """The command and its options."""
    parser = add_command(commands, "generate", generate, ABOUT, MORE)
    parser.add_argument(
        "--model",
        required=True,
        type=Path,
        metavar="FOLDER",
        help="folder that chestgan train wrote, or its generator.safetensors",
    )
    parser.add_argument("--count", type=positive, metavar="N", help="number of images, or of pairs")
    add_seed(parser, "seed of the first image; the others follow it")
    add_out(parser, "file for all slices, or folder for PNG files", "FILE.safetensors|FOLDER")
    add_device(parser)
    _add_asked(parser)


def _add_asked(parser: Parser) -> None:
    asked = parser.add_argument_group(
        "what the images show", "What is not asked for is drawn, as among the training slices."
    )
    asked.add_argument(
        "--tumour",
        action="append",
        metavar="X,Y,W,H[mm]|none",
        help="a tumour: its centre from the top left of the image, width and height, in pixels, or in mm; may be given "
        "again; none: no tumour",
    )
    asked.add_argument(
        "--tumour-fraction", type=fraction, metavar="FRACTION", help="fraction of the images with a tumour"
    )
    asked.add_argument(
        "--position",
        type=fraction,
        metavar="FRACTION",
        help="place of the slice in the lungs, from 0 (base) to 1 (apex)",
    )
    asked.add_argument("--class", dest="class_name", metavar="CLASS", help="one of the model's classes")
    asked.add_argument(
        "--layouts", type=Path, metavar="FILE", help="CSV or COCO JSON that says it for each image"
    )
    asked.add_argument(
        "--pairs", action="store_true", help="each image twice: with its tumour, and of the same seed without"
    )
    asked.add_argument(
        "--subjects",
        type=positive,
        metavar="N",
        help="number of synthetic patients, in place of images: slices of one seed from the base of the lungs to their "
        "apex",
    )
    asked.add_argument(
        "--spacing", type=millimetres, metavar="MM", help="between the slices of a patient (default: 5)"
    )
    asked.add_argument(
        "--dicom", action="store_true", help="a patient is a series of DICOM files, not of PNG files"
    )


def generate(args: argparse.Namespace) -> Answer:
    """One image per seed, per pair, or per slice of a patient."""
    _require_compatible(args)
    from chestgan_core.training.devices import pick_device
    from chestgan_core.training.weights import load_generator

    generator = load_generator(args.model, pick_device(args.device))
    return _subjects(generator, args) if args.subjects else _images(generator, args)


def _require_compatible(args: argparse.Namespace) -> None:
    """Refuse options that contradict each other. Raises BadInput."""
    given = [
        f"--{name.replace('_', '-').removesuffix('-name')}"
        for name in _ASKED
        if getattr(args, name) is not None
    ]
    one_of = [name for name in ("count", "layouts", "subjects") if getattr(args, name) is not None]
    if len(one_of) != 1:
        cause = f"have {' and '.join(f'--{name}' for name in one_of) or 'no number of images'}"
        raise BadInput("the options", cause, "give one of --count, --layouts and --subjects")
    if args.layouts and given:
        raise BadInput(given[0], "does not go with --layouts", "say it in the file, for each image")
    if args.tumour and args.tumour_fraction is not None:
        raise BadInput("--tumour-fraction", "does not go with --tumour", "leave out one of them")
    if (
        args.tumour_fraction is not None
        and not args.subjects
        and (args.position is not None or args.class_name)
    ):
        remedy = "leave out --position and --class, or give --tumour"
        raise BadInput("--tumour-fraction", "is of images that are drawn as a whole", remedy)
    if args.pairs and (args.subjects or args.tumour_fraction is not None):
        other = "--subjects" if args.subjects else "--tumour-fraction"
        raise BadInput("--pairs", f"does not go with {other}", "leave out one of them")
    if args.dicom and (not args.subjects or args.out.suffix == ".safetensors"):
        remedy = "give --subjects and a folder; single images become DICOM as a set: chestgan sets convert"
        raise BadInput("--dicom", "is the form of patients in a folder", remedy)
    if args.spacing is not None and not args.subjects:
        raise BadInput("--spacing", "is of the slices of a patient", "give --subjects, or leave it out")


def _images(generator: "LoadedGenerator", args: argparse.Namespace) -> Answer:
    from chestgan_core.layouts.asked import asked_layout
    from chestgan_core.publishing.asked_images import (
        askable_of,
        asked_of_file,
        asked_of_seeds,
        asked_pairs,
    )
    from chestgan_core.publishing.loose_images import write_images, write_pairs

    if args.layouts:
        images = asked_of_file(generator, args.layouts, args.seed)
        which = f"{len(images)} images of {escaped(args.layouts)}"
    else:
        seeds = range(args.seed, args.seed + args.count)
        askable = askable_of(generator)
        if args.tumour_fraction is not None:
            askable.require_tumours("--tumour-fraction")
        asked = asked_layout(askable, args.tumour, args.position, args.class_name)
        images = asked_of_seeds(generator, seeds, asked, 1.0 if args.pairs else args.tumour_fraction)
        which = f"{args.count} images, seeds {args.seed} to {seeds[-1]}"
    if not args.pairs:
        written = write_images(generator, images.seeds, args.out, images)
        return Answer(written, f"{which}, written to {escaped(args.out)}")
    written = write_pairs(generator, asked_pairs(images), args.out)
    return Answer(
        written,
        f"{which}, each with a tumour and without, written to {escaped(args.out)}\n{_change(written)}",
    )


def _change(written: dict[str, Any]) -> str:
    unit, change = written["window"]["unit"].replace("grey", "grey levels"), written["change"]
    found = (
        f"a pixel changes by {change['inside']:.1f} {unit} in the boxes, by {change['outside']:.1f} outside"
    )
    return found if written["locality"] is None else f"{found} ({written['locality']:.3f} of it)"


def _subjects(generator: "LoadedGenerator", args: argparse.Namespace) -> Answer:
    from chestgan_core.layouts.asked import asked_layout
    from chestgan_core.layouts.subject import subject_layouts
    from chestgan_core.publishing.asked_images import askable_of
    from chestgan_core.publishing.loose_subjects import write_subjects
    from chestgan_core.training.generation import require_seeds

    seeds = range(args.seed, args.seed + args.subjects)
    require_seeds(seeds)
    if args.subjects > _MAX_SUBJECTS:
        remedy = f"give at most {_MAX_SUBJECTS}, and the others with a further --seed"
        raise BadInput(f"--subjects {args.subjects}", "is more than can be written at once", remedy)
    askable = askable_of(generator)
    if args.tumour_fraction is not None:
        askable.require_tumours("--tumour-fraction")
    asked = asked_layout(askable, args.tumour, args.position, args.class_name)
    share = 1.0 if args.tumour_fraction is None else args.tumour_fraction
    subjects = [subject_layouts(askable, seed, args.spacing, asked, share) for seed in seeds]
    written = write_subjects(generator, subjects, args.out, args.dicom)
    lines = [_subject_line(one, askable.conditions.tumour is not None) for one in written["subjects"]]
    text = f"{args.subjects} synthetic patients, {written['images']} slices, written to {escaped(args.out)}"
    return Answer(
        written,
        "\n".join([text, *lines[:_LISTED], *([f"... {len(lines)} in all"] if lines[_LISTED:] else [])]),
    )


_MAX_SUBJECTS = 10_000  # their layouts are in memory: 200 MB
_LISTED = 10  # patients of which a line is printed; --json has all


def _subject_line(one: dict[str, Any], told: bool) -> str:
    tumour = "no tumour" if told else "nothing asked of tumours"
    if one["asked_mm3"]:
        asked, bright = one["asked_mm3"] / 1000, one["tumour_mm3"] / 1000
        tumour = f"asked for a tumour of {asked:.1f} ml, {bright:.1f} ml are bright"
    return f"{one['name']}  {one['slices']} slices, SSIM of neighbours {one['neighbour_ssim']:.3f}, {tumour}"

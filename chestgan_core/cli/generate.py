"""`chestgan generate`: images from numbered seeds."""

import argparse
from pathlib import Path

from chestgan_core.cli.parser import (
    Answer,
    Commands,
    add_command,
    add_device,
    add_out,
    add_seed,
    positive,
)
from chestgan_core.escaping import escaped


def add_to(commands: Commands) -> None:
    """The command and its options."""
    parser = add_command(
        commands,
        "generate",
        generate,
        "Generate images from numbered seeds, as slices in HU or as PNG files.",
    )
    parser.add_argument(
        "--model",
        required=True,
        type=Path,
        metavar="FOLDER",
        help="folder that chestgan train wrote, or its generator.safetensors",
    )
    parser.add_argument("--count", required=True, type=positive, metavar="N", help="number of images")
    add_seed(parser, "seed of the first image; the others follow it")
    add_out(parser, "file for all slices, or folder for PNG files", "FILE.safetensors|FOLDER")
    add_device(parser)


def generate(args: argparse.Namespace) -> Answer:
    """One image per seed."""
    from chestgan_core.publishing.loose_images import write_images
    from chestgan_core.training.devices import pick_device
    from chestgan_core.training.weights import load_generator

    generator = load_generator(args.model, pick_device(args.device))
    written = write_images(generator, range(args.seed, args.seed + args.count), args.out)
    last = args.seed + args.count - 1
    return Answer(
        written, f"{args.count} images, seeds {args.seed} to {last}, written to {escaped(args.out)}"
    )

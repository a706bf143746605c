"""`chestgan reading`: reader studies without a portal, from the images to the result."""

import argparse
from dataclasses import asdict
from pathlib import Path

from chestgan_core.cli.parser import (
    Answer,
    Commands,
    Parser,
    add_command,
    add_group,
    add_out,
    add_seed,
    non_negative,
    positive,
)
from chestgan_core.escaping import escaped, escaped_lines
from chestgan_core.local.home import home

PACKS, RESULT = "reader studies", "the result of a reader study"


def add_to(commands: Commands) -> None:
    """The commands and their options."""
    group = add_group(
        commands, "reading", "Reader studies: whether people can tell synthetic images from real ones."
    )
    parser = add_command(
        group, "images", images, "Collect the held-out real images that a set is compared with."
    )
    parser.add_argument("set", metavar="SET", help="name of the set")
    parser.add_argument("--version", metavar="VERSION", help="version of the set (default: the newest)")
    parser = add_command(
        group, "plan", plan, "Compute how many images a precision needs, or the other way round."
    )
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument(
        "--half-width",
        type=float,
        metavar="SHARE",
        help="half of the 95 %% interval of one reader's accuracy near 0.5, such as 0.05",
    )
    wanted.add_argument("--images-per-side", type=positive, metavar="N", help="N real and N synthetic images")
    _add_freeze(group)
    parser = add_command(
        group,
        "pack",
        pack,
        "Write a study as one HTML file for each reader, which opens without a server and without a network.",
        "Each file has its own order and names of images. Its sealed key stays in the store.",
    )
    _add_study(parser)
    parser.add_argument(
        "--readers", type=positive, default=1, metavar="N", help="how many files (default: 1)"
    )
    parser.add_argument(
        "--language", metavar="CODE", help="en or es; readers can switch (default: as their browser asks)"
    )
    add_out(parser, "folder for the files")
    parser = add_command(
        group, "score", score, "Analyse the answer files that came back from readers, and commit the result."
    )
    parser.add_argument("answers", nargs="+", type=Path, metavar="ANSWERS", help="files that the pages saved")
    parser.add_argument("--study", required=True, metavar="NAME", help="name of the study")
    _add_version(parser)
    add_out(parser, "folder for report, charts and tables (default: only in the store)", required=False)


def _add_freeze(group: Commands) -> None:
    parser = add_command(
        group, "freeze", freeze, "Choose the images of a study. It cannot be changed any more."
    )
    parser.add_argument("name", metavar="NAME", help="name of the study: letters, digits and . _ -")
    parser.add_argument("--set", required=True, metavar="SET", help="name of the set")
    parser.add_argument("--set-version", metavar="VERSION", help="version of the set (default: the newest)")
    parser.add_argument(
        "--title", metavar="TEXT", help="what readers see above the images (default: its name)"
    )
    parser.add_argument(
        "--images-per-side", type=positive, required=True, metavar="N", help="N real and N synthetic images"
    )
    parser.add_argument(
        "--max-per-patient",
        type=positive,
        default=10,
        metavar="N",
        help="real images of one patient (default: 10)",
    )
    parser.add_argument(
        "--repeats",
        type=float,
        default=0.1,
        metavar="SHARE",
        help="share of images shown twice (default: 0.1)",
    )
    parser.add_argument(
        "--warm-up",
        type=non_negative,
        default=6,
        metavar="N",
        help="images before, which do not count (default: 6)",
    )
    parser.add_argument(
        "--no-verdict", action="store_true", help="do not ask whether an image is real or synthetic"
    )
    parser.add_argument("--tumour", action="store_true", help="ask where the tumour is, and how conspicuous")
    parser.add_argument("--no-zoom", action="store_true", help="readers may not zoom")
    parser.add_argument(
        "--no-window", action="store_true", help="readers may not change brightness and contrast"
    )
    add_seed(parser, "seed of the choice of images")


def _add_study(parser: Parser) -> None:
    parser.add_argument("study", metavar="STUDY", help="name of the study")
    _add_version(parser)


def _add_version(parser: Parser) -> None:
    parser.add_argument(
        "--version", metavar="VERSION", help="version of the study (default: the one that was frozen last)"
    )


def images(args: argparse.Namespace) -> Answer:
    """Collect the real images for a set."""
    from chestgan_core.reading.images.real_images import collect_real_images
    from chestgan_core.store.embedded import open_store

    with open_store(home()) as store:
        artefact = collect_real_images(store, args.set, args.version)
        uri = store.uri(artefact.manifest_key)
    data = {name: value for name, value in artefact.manifest.items() if name != "objects"}
    text = (
        f"{data['images']} real images of {data['patients']} patient(s) for {args.set} {data['set_version']}"
    )
    return Answer({**data, "uri": uri}, escaped(f"{text}: {uri}"))


def plan(args: argparse.Namespace) -> Answer:
    """Images for a precision, or precision of a number of images."""
    from chestgan_core.errors import BadInput
    from chestgan_core.reading.design import half_width_of, images_for

    if args.half_width is None:
        count = 2 * args.images_per_side
    else:
        try:
            count = images_for(args.half_width)
        except ValueError as error:
            raise BadInput("--half-width", str(error), "give a share such as 0.05") from error
    width = half_width_of(count)
    data = {"images": count, "images_per_side": count // 2, "half_width": width}
    text = (
        f"{count // 2} real and {count // 2} synthetic images: the accuracy of one reader near 0.5 is known to "
        f"+-{width:.3f} (95 %)"
    )
    return Answer(data, text)


def freeze(args: argparse.Namespace) -> Answer:
    """Choose the images of a study, and commit them with their key."""
    from pydantic import ValidationError

    from chestgan_core.errors import BadInput
    from chestgan_core.publishing.versions.finding import newest_version
    from chestgan_core.reading.design import StudyDesign
    from chestgan_core.reading.images.frozen_study import freeze_study, read_key
    from chestgan_core.reading.images.giveaways import giveaways
    from chestgan_core.store.embedded import open_store

    with open_store(home()) as store:
        try:
            design = StudyDesign(
                name=args.name,
                title=args.title or args.name,
                set_name=args.set,
                set_version=args.set_version or newest_version(store, args.set),
                images_per_side=args.images_per_side,
                max_per_patient=args.max_per_patient,
                repeats=args.repeats,
                warm_up=args.warm_up,
                ask_verdict=not args.no_verdict,
                ask_tumour=args.tumour,
                zoom=not args.no_zoom,
                window=not args.no_window,
                seed=args.seed,
            )
        except ValidationError as error:
            first = error.errors()[0]
            field = " ".join(map(str, first["loc"])).replace("_", "-")
            raise BadInput(
                f"--{field}", first["msg"].lower(), "see chestgan reading freeze --help"
            ) from error
        study = freeze_study(store, design)
        found = [one for one in giveaways(study, read_key(store, study)) if one.is_suspicious]
    data = {
        "study": design.name,
        "version": study.version,
        "images": study.count,
        "half_width": design.half_width,
        "giveaways": [asdict(one) for one in found],
    }
    text = (
        f"study {design.name}, version {study.version}: {study.count} images, {len(study.warm_up)} of them to warm up; "
        f"the accuracy of one reader near 0.5 will be known to +-{design.half_width:.3f} (95 %)"
    )
    if found:
        text += "\nlook whether people can see what separates the two sides in numbers:\n"
        text += "\n".join(one.line for one in found)
    return Answer(data, text)


def pack(args: argparse.Namespace) -> Answer:
    """Write the offline files of a study."""
    from chestgan_core.local.files import replacing
    from chestgan_core.local.output import output_folder, require_output_folder
    from chestgan_core.reading.images.frozen_study import newest_study, open_study
    from chestgan_core.reading.offline.pack import make_pack
    from chestgan_core.store.embedded import open_store

    require_output_folder(args.out, PACKS)
    packs, lines = [], []
    with open_store(home()) as store, output_folder(args.out, PACKS) as folder:
        study = open_study(store, args.study, args.version or newest_study(store, args.study))
        for _ in range(args.readers):
            made = make_pack(store, study, args.language)
            with replacing(folder / made.name) as path:
                path.write_text(made.html, encoding="utf-8")
            packs.append({"file": str(folder / made.name), "reader": made.reader, "key_sha256": made.seal})
            lines.append(escaped(f"{folder / made.name}  key {made.seal}"))
    text = "\n".join(
        [*lines, "Note the sha256 of each key now: it proves later that nobody exchanged the key."]
    )
    return Answer({"study": study.design.name, "version": study.version, "packs": packs}, text)


def score(args: argparse.Namespace) -> Answer:
    """Analyse the answer files of a study."""
    from chestgan_core.local.output import output_folder, require_output_folder
    from chestgan_core.reading.images.frozen_study import newest_study, open_study
    from chestgan_core.reading.offline.returned import collect_answers
    from chestgan_core.reading.stored_answers import commit_answers
    from chestgan_core.reading.stored_result import report_study
    from chestgan_core.store import keys
    from chestgan_core.store.embedded import open_store

    if args.out:
        require_output_folder(args.out, RESULT)
    with open_store(home()) as store:
        study = open_study(store, args.study, args.version or newest_study(store, args.study))
        commit_answers(store, study.design.set_name, collect_answers(store, study, args.answers))
        stored = report_study(store, study.design.set_name)
        if args.out:
            with output_folder(args.out, RESULT) as folder:
                key = keys.reader_result_manifest(stored.set_name, args.study, stored.version)
                store.fetch(key, folder)
    finding = stored.result.finding
    lines = [finding.title, *finding.sentences, f"result: {stored.uri}"]
    if args.out:
        lines.append(f"written to {escaped(args.out)}: report.html, report.pdf, result.json, charts, tables")
    return Answer(
        {**stored.result.model_dump(mode="json"), "uri": stored.uri}, escaped_lines("\n".join(lines))
    )

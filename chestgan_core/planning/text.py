"""A plan in words, for a terminal and for whoever decides whether it is paid.

In: a Plan. Out: lines. What was measured says so, and how; what is an estimate is called one.
"""

from chestgan_core.planning.duration import TimeAndCost
from chestgan_core.planning.held_out import DIFFERENCES, HeldOutFacts, Level
from chestgan_core.planning.network_sizes import NetworkSize
from chestgan_core.planning.plan import AREAS, DataFacts, Plan, SideCounts

INDENT = 16


def as_text(plan: Plan) -> str:
    """All of it."""
    experiment = plan.experiment
    lines = [f"plan of {experiment.name}: {experiment.network.family}, {experiment.resolution} pixels"]
    lines += _section("data", _data(plan.data))
    lines += _section("KID", _held_out(plan.held_out, plan.data))
    lines += _section(
        "networks", [_network("generator", plan.generator), _network("discriminator", plan.discriminator)]
    )
    lines += _section("speed", _speed(plan))
    lines += _section("time", _times(plan))
    lines += _section("files", _files(plan))
    lines += _section("reader study", _readers(plan))
    return "\n".join(lines)


def _section(name: str, lines: list[str]) -> list[str]:
    return [f"{name if not at else '':{INDENT}}{line}" for at, line in enumerate(lines)]


def _data(data: DataFacts | None) -> list[str]:
    if data is None:
        return [
            "not known: no slices were given, and the store has no training set; steps are timed on noise"
        ]
    held_out = "nobody is held out" if data.held_out is None else f"{_side(data.held_out)} held out"
    return [f"{_side(data.train)} to train on, {held_out} ({data.source})"]


def _side(side: SideCounts) -> str:
    return f"{side.slices:,} slices of {side.patients:,} patient(s)"


def _held_out(facts: HeldOutFacts | None, data: DataFacts | None) -> list[str]:
    if facts is None:
        why = "slices of both sides are needed (--data, --held-out)"
        if data is not None and data.held_out is not None:
            why = "slices were not looked at"
        return [f"floor and differences that can be seen: not known, {why}"]
    if facts.floor is None or facts.floor_half_width is None:
        return [f"floor and differences that can be seen: not known, {facts.reason}"]
    judging = facts.judging - facts.borrowed
    lines = [
        f"floor x 1000: {1000 * facts.floor:.0f} +- {1000 * facts.floor_half_width:.0f} (95 % over patients), "
        f"{facts.images} images each of {facts.judging} and {facts.trained} patients, {facts.extractor}"
    ]
    if facts.borrowed:
        lines.append(
            f"{judging} held-out patient(s) are too few to measure how patients differ: {facts.borrowed} of those to "
            "be trained on judge with them"
        )
    lines.append(
        f"estimates for {judging} held-out patient(s): what two reports tell apart, by intervals that do not overlap, "
        "in 80 of 100 draws of patients; from training slices that were made worse"
    )
    return lines + [_level(level, judging) for level in facts.levels]


def _level(level: Level, judging: int) -> str:
    if judging < 2:
        seen = "no interval and no difference: one patient says nothing about others"
    elif level.smallest is None:
        seen = f"interval +- {1000 * level.half_width:.0f}, no better generator is told apart from it"
    else:
        seen = f"interval +- {1000 * level.half_width:.0f}, smallest difference {1000 * level.smallest:.0f}"
    needed = [
        f"{1000 * difference:.0f} takes {'more images' if count is None else f'{count:,}'}"
        for difference, count in zip(DIFFERENCES, level.patients, strict=True)
        if difference <= level.kid
    ]
    return (
        f"  at a KID x 1000 of {1000 * level.kid:.0f}: {seen}; patients: a difference of {', '.join(needed)}"
    )


def _network(name: str, size: NetworkSize) -> str:
    frozen = size.parameters - size.trained
    also = f", {frozen:,} of them frozen" if frozen else ""
    return f"{name}: {size.parameters:,} parameters{also}, {size.multiply_adds:,} multiply-adds an image"


def _speed(plan: Plan) -> list[str]:
    speed = plan.speed
    where = f"{speed.machine}, {speed.threads} thread(s), {speed.precision}"
    lines = [
        f"training: {speed.images_per_second:,.0f} images/s, {speed.slowest:,.0f} to {speed.fastest:,.0f} in "
        f"{speed.blocks} parts of {speed.seconds:.1f} s after warm-up; measured on {where}",
        f"generation: {speed.generated_per_second:,.0f} images/s",
    ]
    for name, rate in plan.scored_per_second.items():
        found = "its weights are not on this machine" if rate is None else f"{rate:,.1f} images/s"
        lines.append(f"scoring by {name}: {found}")
    if plan.report_seconds is not None:
        lines.append(f"features of a report: {_duration(plan.report_seconds)} (estimate)")
    what = "of the GPU" if plan.gpus else "of this process, with PyTorch"
    if not plan.gpus and plan.data is not None and plan.data.source == "files":
        what += " and the slices"
    return [*lines, f"memory: peak of {_size(speed.memory)} {what}, measured"]


def _times(plan: Plan) -> list[str]:
    lines = [
        f"{'planned' if not at else 'to'} {_time(one, plan.currency)}"
        for at, one in enumerate((plan.planned, *plan.at_scale))
    ]
    if plan.experiment.training.validation and plan.experiment.training.validation.patience:
        lines[0] += "; a validation without progress may end it sooner"
    if plan.gpus > 1:
        lines.append(f"on one of {plan.gpus} GPUs: how much faster all of them are was not measured")
    return [f"{line}{' (estimates)' if not at else ''}" for at, line in enumerate(lines)]


def _time(one: TimeAndCost, currency: str) -> str:
    cost = "" if one.cost is None else f", {one.cost:,.2f} {currency}"
    return f"{one.images:,} images seen: {_duration(3600 * one.hours)}{cost}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.1f} h"


def _files(plan: Plan) -> list[str]:
    of = plan.bytes
    how = "as training slices take" if of.of_slices else "uncompressed"
    return [
        f"checkpoint {_size(of.checkpoint)}, generator {_size(of.generator)}; published set of {of.set_images:,} "
        f"images about {_size(of.set)} (estimate: {how})"
    ]


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def _readers(plan: Plan) -> list[str]:
    areas = ", ".join(f"{area:g}" for area in AREAS)
    lines = [
        f"images a side, to show that readers can tell, with an area under the ROC curve of {areas}; that they cannot,",
        "within 0.05 of 0.5 (estimates: areas of readers differ by 0.05, their errors correlate by 0.4)",
    ]
    for one in plan.readers:
        tell = ", ".join("more than 2,000" if count is None else f"{count:,}" for count in one.to_tell)
        rule_out = "more than 2,000" if one.to_rule_out is None else f"{one.to_rule_out:,}"
        lines.append(f"  {one.readers} reader(s): {tell}; {rule_out}")
    if plan.data is not None and plan.data.held_out is not None:
        count = min(plan.data.held_out.slices, 10 * plan.data.held_out.patients)
        lines.append(f"  there are at most {count:,} real ones, 10 of each held-out patient")
    return lines

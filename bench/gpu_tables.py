"""What the parts of `bench.gpu` found, as Markdown.

In: parts with their lines. Out: text. Numbers without a meaning on a device (memory on a CPU) are a dash.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol


class FoundPart(Protocol):
    """What came of one part: the objects that it printed, and why it ended early; empty: it did not."""

    name: str
    lines: list[dict[str, Any]]
    end: str


def report(parts: Sequence[FoundPart], device: str, seconds: float) -> str:
    """All tables, and which parts ended early."""
    lines = [line for part in parts for line in part.lines]
    blocks = [
        "\n".join(_heading(lines, device, seconds)),
        "\n".join(_speed([line["row"] for line in lines if "row" in line])),
        "\n".join(_trainings([line["quality"] for line in lines if "quality" in line])),
        "\n".join(_resumed([line["resume"] for line in lines if "resume" in line])),
        "\n".join(_at_once([line["two"] for line in lines if "two" in line])),
        "\n".join(_memory([line["memory"] for line in lines if "memory" in line])),
        "\n".join(f"- {part.name}: {part.end}." for part in parts if part.end),
    ]
    return "\n\n".join(block for block in blocks if block)


def _heading(lines: Sequence[dict[str, Any]], device: str, seconds: float) -> Iterator[str]:
    rates = [line for line in lines if "matrix_rate" in line]
    name = rates[0]["device"] if rates else device
    yield f"{name}; {seconds / 60:.1f} minutes in all."
    if rates:
        measured = ", ".join(f"{line['matrix_rate'] / 1e12:.1f}" for line in rates)
        yield f"Rate of a large bfloat16 product, before each size: {measured} TFLOP/s; shares are of it."


def _speed(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not rows:
        return
    yield "| pixels | what | batch | images/s | lowest to highest | stretches | share | memory | until warm |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for row in rows:
        start = f"| {row['size']} | {row['name']} | {row['batch']} |"
        if row["failure"]:
            yield f"{start} {row['failure']} | | | | | |"
            continue
        spread = f"{row['low']:,.0f} to {row['high']:,.0f}"
        rest = f"{row['share']:.1%} | {_gib(row['peak_bytes'])} | {row['warm_up_s']:.1f} s |"
        yield f"{start} {row['rate']:,.0f} | {spread} | {row['n']} | {rest}"


def _trainings(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not found:
        return
    yield "| recipe | minutes | images seen | images/s | memory | judge | KID x 1000 | floor | coverage | N |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for one in found:
        start = f"| {one['name']} | {one['minutes']:.1f} | {one['images_seen']:,} | {one['rate']:,.0f} |"
        start += f" {_gib(one['peak_bytes'])} |"
        for score in one["scores"]:
            if "failure" in score:
                yield f"{start} {score['extractor']} | {score['failure']} | | | |"
                continue
            numbers = f"{score['kid']:.0f} | {score['floor']:.0f} | {score['coverage']:.0%} | {one['n']}"
            yield f"{start} {score['extractor'].split(':')[0]} | {numbers} |"


def _resumed(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    for one in found:
        seen, resumed = one["images_seen"]
        algorithms = "deterministic algorithms" if one["deterministic"] else "PyTorch's default algorithms"
        bits = "the same bits" if one["same_bits"] else "other bits"
        without = ", ".join(one["without_deterministic"])
        rest = f"; without a deterministic algorithm: {without}" if without else ""
        finite = "finite" if one["finite"] else "NOT finite"
        yield (
            f"- Resumed, {one['name']}, {algorithms}: interrupted at {one['resumed_at']:,} images, "
            f"{resumed:,} of {seen:,} images seen at the end, losses {finite}, they differ by at most "
            f"{one['difference']:.3g} from those without interruption (last {one['losses'][1]:.3f} and "
            f"{one['losses'][0]:.3f}); {bits}{rest}."
        )


def _at_once(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    for one in found:
        alone, both = sum(one["alone"]) / len(one["alone"]), sum(one["both"])
        yield (
            f"- Two trainings with the r3 networks at once: {both:,.0f} images/s together, {alone:,.0f} alone: "
            f"{both / alone:.2f} times as many as one after the other."
        )


def _memory(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    for one in found:
        limit = _gib(one["limit"])
        yield f"- A batch too large for {limit}: {one['sentence'] or 'it fitted, so nothing was shown'}"


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB" if size else "-"

"""What a withdrawal finds and does, as the operator reads it on a terminal.

In: Traces, Forgetting. Out: text.
"""

from collections.abc import Sequence

from chestgan_core.escaping import escaped_lines
from chestgan_core.forgetting.forget import Forgetting
from chestgan_core.forgetting.record import Record
from chestgan_core.forgetting.traces import Kind, Trace, Traces

_SHOWN = 12  # things of one kind


def found_text(key: str, found: Traces) -> str:
    """What came of the patient, and what would remain."""
    lines = [f"{key}: {len(found.traces)} things came of this patient", ""]
    lines += _traces(found.traces)
    lines += ["", *_remaining(found)]
    return escaped_lines("\n".join(lines))


def done_text(key: str, done: Forgetting) -> str:
    """What was deleted, what remains, what the operator has to see to."""
    last = done.records[-1]
    if done.complete:
        head = f"{key} is forgotten: {len(done.found.traces)} things deleted or withdrawn"
        head += f" ({len(done.found.keys)} objects)" if done.found.keys else ""
    else:
        head = f"{key}: {len(done.left.traces)} things came up while others were deleted; run the same command again"
    lines = [head, ""]
    lines += _traces(done.found.traces if done.complete else done.left.traces)
    lines += ["", *_remaining(done.found)]
    lines += _listed("to be made again", last.requested)
    lines += _listed("out of reach of this command", last.unreachable)
    lines += ["", record_line(last)]
    return escaped_lines("\n".join(lines))


def forgotten_text(key: str, at: str, records: Sequence[Record], found: Traces) -> str:
    """Of a patient who is forgotten already."""
    lines = [f"{key} was forgotten on {at[:10]}; nothing of this patient is stored again"]
    lines += [record_line(record) for record in records]
    if found.traces:
        lines += ["", f"{len(found.traces)} things are left: run the same command with --apply again", ""]
        lines += _traces(found.traces)
    else:
        lines.append("nothing is left")
    return escaped_lines("\n".join(lines))


def record_line(record: Record) -> str:
    """One record."""
    by = f" by {record.by}" if record.by else ""
    return f"record {record.number}, {record.state}, {record.at}{by}: sha256 {record.sha256}"


def _traces(traces: Sequence[Trace]) -> list[str]:
    lines = []
    for kind in Kind:
        of_kind = [trace for trace in traces if trace.kind is kind]
        if not of_kind:
            continue
        objects, size = sum(len(one.keys) for one in of_kind), sum(one.bytes for one in of_kind)
        verb = "withdrawn, " if kind is Kind.SET else ""
        count = f"{objects} object{'' if objects == 1 else 's'}, {_size(size)}"
        lines.append(f"{kind}: {len(of_kind)} ({verb}{count}) - {kind.meaning}")
        for one in of_kind[:_SHOWN]:
            lines.append(f"    {one.name}" + (f": {one.note}" if one.note else ""))
        if more := len(of_kind) - _SHOWN:
            lines += [f"    and {more} more"] if more > 0 else []
    return lines


def _remaining(found: Traces) -> list[str]:
    said = [f"{one.what}: {one.why}" for one in found.remaining]
    said.append(
        "the tombstone and the records of this withdrawal: they keep the patient out, and say what was done"
    )
    return ["what remains", *(f"    {line}" for line in said)]


def _listed(title: str, lines: Sequence[str]) -> list[str]:
    return ["", title, *(f"    {line}" for line in lines)] if lines else []


def _size(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{count} bytes" if unit == "bytes" else f"{size:.1f} {unit}"

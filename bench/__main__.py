"""`make bench`: speed as ratios to a plain baseline, measured interleaved in one run, as a table.

In: $CHESTGAN_REAL_DATA for real DICOM, else phantoms. Out: the table on standard output. Absolute times of a busy
machine mean little; ratios within one run mean something.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from bench import (
    catalog,
    conditional_step,
    detector,
    dicom_export,
    download,
    evaluation,
    generation,
    loading,
    mapped_slices,
    normalize,
    penalty_step,
    portal,
    projected_step,
    scale,
    sets_fetching,
    sets_reading,
    sets_writing,
    training_memory,
    training_step,
)
from bench.ratio import Ratio
from chestgan_core.local.log_lines import configure_logging

ROOT = Path(__file__).parent.parent


def main() -> int:
    """Measure everything; exit status 1 when a ratio misses its target."""
    configure_logging()
    real_data = Path(os.environ.get("CHESTGAN_REAL_DATA", ROOT.parent / "shared" / "data"))
    measured: list[Ratio] = []
    print("| what | ours | baseline | unit | ratio | target | | note |\n|---|---|---|---|---|---|---|---|")
    parts: list[Callable[[], list[Ratio]]] = [
        lambda: normalize.measure(real_data),
        training_step.measure,
        conditional_step.measure,
        projected_step.measure,
        penalty_step.measure,
        training_memory.measure,
        mapped_slices.measure,
        generation.measure,
        evaluation.measure,
        detector.measure,
        loading.measure,
        download.measure,
        catalog.measure,
        dicom_export.measure,
        sets_writing.measure,
        sets_fetching.measure,
        sets_reading.measure,
        portal.measure,
        scale.measure,
    ]
    for measure in parts:
        for ratio in measure():
            measured.append(ratio)
            print(ratio.row(), flush=True)
    return 0 if all(ratio.reached for ratio in measured) else 1


if __name__ == "__main__":
    sys.exit(main())

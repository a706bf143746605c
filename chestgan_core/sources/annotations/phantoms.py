"""Tumour boxes of generated patients: where chestgan painted the tumours, on every slice of every series.

In: the section `source` of a dataset of phantoms. Out: a box and a mask per slice that shows a tumour, and all series
as annotated: nothing else was painted.
"""

from chestgan_core.local.progress import Progress
from chestgan_core.sources.annotations.boxes import Defect, Found, TumourBox
from chestgan_core.sources.annotations.masks import packed
from chestgan_core.sources.annotations.voc import MIN_EDGE
from chestgan_core.sources.phantom.source import PhantomConfig


def phantom_boxes(config: PhantomConfig, progress: Progress | None = None) -> Found:
    """The boxes of all patients. progress counts patients."""
    from chestgan_core.sources.phantom.tumours import phantom_tumour

    found = Found()
    for number in range(1, config.patients + 1):
        tumour = phantom_tumour(number, slices=config.slices)
        found.series[tumour.series_uid] = tumour.patient_id
        for shown in tumour.slices:
            height, width = shown.mask.shape
            if min(height, width) < MIN_EDGE:  # a tip of the tumour: too little to ask for
                found.lose(Defect.TINY, shown.sop_uid, tumour.patient_id)
                continue
            edges = shown.left, shown.top, shown.left + width, shown.top + height
            found.boxes.append(
                TumourBox(
                    tumour.patient_id,
                    shown.sop_uid,
                    *edges,
                    label=tumour.histology,
                    origin="phantom",
                    image_width=tumour.size,
                    image_height=tumour.size,
                    mask=packed(shown.mask),
                )
            )
        if progress is not None:
            progress.step()
    return found

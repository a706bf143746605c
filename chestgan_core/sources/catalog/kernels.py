"""The family of a reconstruction kernel: smooth for soft tissue, or sharp for lung and bone.

In: a ConvolutionKernel (DICOM PS3.3 C.8.2.1), or a series description that names one. Out: soft, lung or unknown.

Deliberately crude: vendors choose kernel names freely. A name that is not in the tables is unknown, not guessed. Sharp
bone kernels count as lung: both enhance edges and noise, which a generator would learn as a style.
"""

import re
from typing import Literal, TypeAlias

Family: TypeAlias = Literal["soft", "lung", "unknown"]

# Regular expression, family, vendor and examples. The first row that matches decides; case is ignored.
# Names that also occur in descriptions, as separate words.
WORDS: tuple[tuple[str, Family, str], ...] = (
    (r"[abdhijqu][a-z]?[5-9]\d[a-z]?", "lung", "Siemens B50f, B70s, Bl57, I70f: the number is the sharpness"),
    (r"[abdhijqu][a-z]?[1-4]\d[a-z]?", "soft", "Siemens B10f, B30f, B41s, Br40, I31f"),
    (r"fc(?:3\d|5\d|8\d)", "lung", "Canon FC30 to FC39 (bone), FC50 to FC59 (lung), FC80 to FC89 (sharp)"),
    (r"fc[012]\d", "soft", "Canon FC01 to FC29 (body, head)"),
    (r"lung|bone|boneplus|edge|chst|ultra", "lung", "GE LUNG, BONE, BONEPLUS, EDGE, CHST, ULTRA"),
    (r"standard|stand|stnd|std|soft", "soft", "GE STANDARD, SOFT, and their short forms"),
)
# Names that are a single letter or a common word: they must be the whole name of the kernel.
WHOLE: tuple[tuple[str, Family, str], ...] = (
    (r"l|d|e|f|y[a-d]", "lung", "Philips L (lung), D, E and F (sharp), YA to YD (detail)"),
    (r"a|b|c", "soft", "Philips A, B, C"),
    (r"detail", "soft", "GE DETAIL"),
)


def kernel_family(kernel: str, description: str = "") -> Family:
    """The family of a kernel by its name; if that is unknown, by the words of the series description.

    kernel: as in the file; of several values the first counts (Siemens `I70f\\3`: the second is the strength of the
    iterative reconstruction).
    """
    name = kernel.split("\\")[0].strip().lower()
    for pattern, family, _ in (*WORDS, *WHOLE):
        if re.fullmatch(pattern, name):
            return family
    for text in (name, description.lower()):
        for pattern, family, _ in WORDS:
            # As a whole word: `standing` is not `stand`, and `ss50` is not a kernel.
            if re.search(rf"(?<![a-z0-9])(?:{pattern})(?![a-z0-9])", text):
                return family
    return "unknown"

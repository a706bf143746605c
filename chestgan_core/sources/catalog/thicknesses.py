"""The bin of a slice thickness: few enough that each has patients in it.

In: SliceThickness in mm. Out: one of BINS, or an empty text where it is not known.
"""

# Upper ends in mm, and what is printed. Series of chest CT are reconstructed at 0.6 to 10 mm.
_ENDS = ((1.0, "up to 1 mm"), (2.0, "over 1 to 2 mm"), (3.0, "over 2 to 3 mm"), (5.0, "over 3 to 5 mm"))
_THICKER = "over 5 mm"
BINS = (*(name for _, name in _ENDS), _THICKER)


def thickness_bin(millimetres: float) -> str:
    """`over 1 to 2 mm`; empty where it is not known."""
    if millimetres <= 0:
        return ""
    return next((name for end, name in _ENDS if millimetres <= end), _THICKER)

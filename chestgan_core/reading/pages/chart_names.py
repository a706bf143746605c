"""The charts of a result by file name. Apart from what draws them, as that takes matplotlib."""

CONFUSION, READERS, ROC, RATINGS, DRIFT = (
    "confusion.png",
    "readers.png",
    "roc.png",
    "ratings.png",
    "drift.png",
)

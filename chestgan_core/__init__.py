"""Chest CT in, synthetic image sets out. Plain Python: knows no Dagster and no web framework.

The packages stand in the order in which the data flows:
dicom -> sources -> slices -> networks -> training -> evaluation -> publishing.
"""

__version__ = "0.1.0"

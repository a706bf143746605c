"""The raw archive of a patient: the DICOM files of the selected series, byte for byte."""

"""The raw archive of a patient: the unchanged DICOM files of the selected series."""

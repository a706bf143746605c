"""Soft or lung: the kernels of the vendors, and the words that descriptions use for them."""

import pytest

from chestgan_core.sources.catalog.kernels import kernel_family


@pytest.mark.parametrize(
    ("kernel", "family"),
    [
        ("B31f", "soft"),
        ("B70s", "lung"),
        ("Br40d\\3", "soft"),
        ("I70f\\3", "lung"),
        ("Bl57", "lung"),
        ("LUNG", "lung"),
        ("BONEPLUS", "lung"),
        ("STANDARD", "soft"),
        ("DETAIL", "soft"),
        ("L", "lung"),
        ("B", "soft"),
        ("YA", "lung"),
        ("FC13", "soft"),
        ("FC51", "lung"),
        ("", "unknown"),
        ("QC", "unknown"),
    ],
)
def test_a_kernel_has_a_family(kernel, family):
    assert kernel_family(kernel) == family


@pytest.mark.parametrize(
    ("description", "family"),
    [
        ("Thorax  1.0  B70f", "lung"),
        ("CT WB  3.0  B30f", "soft"),
        ("CT lung  3.0  B31f", "soft"),  # the name of the kernel says more than the word before it
        ("5mm Lung SS50", "lung"),
        ("A phase 5mm Stnd SS50", "soft"),
        ("lung IDose, iDose (4)", "lung"),
        ("A phase 5mm", "unknown"),  # an arterial phase, not the Philips kernel A
        ("outstanding detail", "unknown"),
        ("5mm", "unknown"),
    ],
)
def test_a_description_may_name_a_kernel(description, family):
    assert kernel_family("", description) == family


def test_the_kernel_of_the_file_takes_precedence_over_the_description():
    assert kernel_family("B70f", "soft tissue") == "lung"
    assert kernel_family("QC", "soft tissue") == "soft"

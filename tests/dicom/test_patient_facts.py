"""Sex and age band of a header: closed lists, and nothing where the header does not say it as the standard does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.dicom.patient_facts import AGE_BANDS, SEXES, age_band_of, sex_of


@pytest.mark.parametrize(
    ("written", "band"),
    [
        ("000D", "under 50"), ("049Y", "under 50"), ("050Y", "50 to 64"), ("064Y", "50 to 64"), ("599M", "under 50"),
        ("600M", "50 to 64"), ("065Y", "65 to 74"), ("074Y", "65 to 74"), ("075Y", "75 and over"), ("65y ", "65 to 74"),
        ("095Y", "75 and over"), ("120Y", "75 and over"),
        # Unknown: no unit, a placeholder, an impossible age, several values, words.
        ("65", ""), ("000Y", ""), ("121Y", ""), ("999Y", ""), ("065Y\\066Y", ""), ("ANON", ""), ("", ""),
    ],
)  # fmt: skip
def test_an_age_string_is_a_band(written: str, band: str) -> None:
    assert age_band_of(written) == band


@given(st.text(max_size=12))
def test_no_other_text_gets_out(text: str) -> None:
    assert sex_of(text) in ("", *SEXES)
    assert age_band_of(text) in ("", *AGE_BANDS)


@given(st.integers(1, 119))
def test_bands_are_in_the_order_of_ages(years: int) -> None:
    now, next_year = (AGE_BANDS.index(age_band_of(f"{age:03d}Y")) for age in (years, years + 1))
    assert next_year - now in (0, 1)

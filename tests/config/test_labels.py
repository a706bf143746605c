"""Names of folders, classes and patients that mean the same."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.config.labels import class_key, comparable, normal_form, one_spelling
from chestgan_core.store.keys import checked_name


@given(st.text(max_size=30))
def test_every_unicode_form_of_a_name_is_one_class(name):
    forms = {unicodedata.normalize(form, name) for form in ("NFC", "NFD")}
    assert len({class_key(form) for form in forms}) == 1
    assert len({comparable(form) for form in forms}) == 1


@pytest.mark.parametrize("other", [" normal", "normal ", "normal\u00a0", "NORMAL", "Normal"])
def test_blanks_and_case_make_no_second_name(other):
    assert comparable(other) == comparable("normal")
    assert normal_form(other).lower() == "normal"


@pytest.mark.parametrize(("a", "b"), [("a b", "ab"), ("größe", "grobe"), ("T1", "T2"), ("肺炎", "肺癌")])
def test_other_names_stay_other_classes(a, b):
    assert class_key(a) != class_key(b)
    assert comparable(a) != comparable(b)


@given(st.text(min_size=1, max_size=30))
def test_a_class_is_a_part_of_a_key_and_its_own_class(name):
    key = class_key(name)
    assert not key or checked_name(key) == key
    assert class_key(key) == key


def test_one_spelling_stands_for_all_whatever_their_order():
    names = ["normal", "Normal", "NORMAL", "other"]
    assert one_spelling(names) == one_spelling(reversed(names))
    assert one_spelling(names) == dict.fromkeys(names[:3], "NORMAL") | {"other": "other"}

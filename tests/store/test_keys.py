"""Keys of the store."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.errors import BadInput
from chestgan_core.store import keys


def test_keys_are_those_of_the_design() -> None:
    assert keys.catalog_manifest("lung", "ab12") == "catalog/lung/ab12.json"
    assert keys.slices_manifest("lung", "Lung_Dx-A0042", "v1") == "slices/lung/Lung_Dx-A0042/v1.json"
    assert keys.training_set_latest("lung") == "training-sets/lung/latest.json"
    assert keys.run_checkpoint("lung-dcgan-64", "r1") == "experiments/lung-dcgan-64/r1/checkpoint.pt"
    assert keys.report_manifest("e", "r", "v") == "reports/e/r/v/manifest.json"
    assert keys.set_manifest("lung-dcgan-64", "5c1e") == "synthetic/lung-dcgan-64/5c1e/manifest.json"
    assert keys.set_index() == "synthetic/index.json"
    assert keys.set_manifest("chest", "v1").startswith(keys.sets_prefix())
    assert keys.probe("ab12") == "doctor/ab12"


@given(st.text(max_size=200) | st.text("aZ9._-/", max_size=5))
def test_no_name_leaves_its_place_in_the_tree(name: str) -> None:
    try:
        key = keys.set_manifest("chest", name)
    except BadInput:
        return
    assert key.split("/") == ["synthetic", "chest", name, "manifest.json"]
    assert ".." not in name
    assert not name.startswith((".", "-"))


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "../x", "a\\b", ".hidden", "-rf", "a b", "Müller", "a\n"]
)
def test_a_name_that_cannot_be_part_of_a_key_is_refused_without_repeating_it(name: str) -> None:
    with pytest.raises(BadInput, match=f"^name of {len(name)} characters: cannot be part of a key"):
        keys.raw_latest("lung", name)

"""Keys of the store."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core import layout
from chestgan_core.errors import BadInput


def test_keys_are_those_of_the_design() -> None:
    assert layout.catalog_manifest("lung", "ab12") == "catalog/lung/ab12.json"
    assert layout.slices_manifest("lung", "Lung_Dx-A0042", "v1") == "slices/lung/Lung_Dx-A0042/v1.json"
    assert layout.training_set_latest("lung") == "training-sets/lung/latest.json"
    assert layout.run_state("lung-dcgan-64", "r1") == "experiments/lung-dcgan-64/r1/training-state.pt"
    assert layout.report_manifest("e", "r", "v") == "reports/e/r/v/manifest.json"
    assert layout.set_manifest("lung-dcgan-64", "5c1e") == "synthetic/lung-dcgan-64/5c1e/manifest.json"
    assert layout.set_index() == "synthetic/index.json"
    assert layout.set_manifest("chest", "v1").startswith(layout.sets_prefix())
    assert layout.probe("ab12") == "doctor/ab12"


@given(st.text(max_size=200) | st.text("aZ9._-/", max_size=5))
def test_no_name_leaves_its_place_in_the_tree(name: str) -> None:
    try:
        key = layout.set_manifest("chest", name)
    except BadInput:
        return
    assert key.split("/") == ["synthetic", "chest", name, "manifest.json"]
    assert ".." not in name
    assert not name.startswith((".", "-"))


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "../x", "a\\b", ".hidden", "-rf", "a b", "Müller", "a\n"]
)
def test_a_name_that_is_no_step_of_a_key_is_refused_without_repeating_it(name: str) -> None:
    with pytest.raises(BadInput, match=f"^name of {len(name)} characters: cannot be part of a key"):
        layout.raw_latest("lung", name)

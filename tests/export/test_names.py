"""Names that other programs take: legal, apart, and kept where they can be."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microimpute.errors import OutputError
from microimpute.export.base import formats
from microimpute.export.names import Naming, cut, fit

NAMES = st.lists(st.text("aAb1_. éß日-", max_size=40) | st.sampled_from(["if", "IF", "all", "_n_"]), unique=True)


@pytest.mark.parametrize("kind", sorted(formats()))
@settings(max_examples=100)
@given(NAMES, st.integers(0, 3))
def test_names_are_legal_and_apart(kind, columns, imputed):
    naming = formats()[kind].naming
    names, notes = fit(columns, columns[:imputed], naming, "it")
    assert list(names) and set(names) == set(columns) if columns else not names
    seen = [n.lower() if naming.folds else n for n in names.values()]
    assert len(set(seen)) == len(seen)
    assert len(notes) == sum(n != c for c, n in names.items())
    flags = re.IGNORECASE if naming.folds else 0
    for column, name in names.items():
        limit = naming.imputed if naming.imputed and column in columns[:imputed] else naming.limit
        size = len(name.encode()) if naming.in_bytes else len(name)
        assert limit is None or size <= limit
        assert name
        assert not (naming.bad and re.search(naming.bad, name))
        assert not (naming.bad_start and re.match(naming.bad_start, name))
        assert not (naming.reserved and re.fullmatch(naming.reserved, name, flags))


def test_names_that_can_stay_stay():
    """A column is not renamed for one that must be."""
    names, notes = fit(["a b", "a_b", "a-b"], (), Naming(bad="[^a-z_]"), "it")
    assert names == {"a b": "a_b_1", "a_b": "a_b", "a-b": "a_b_2"}
    assert notes == ["'a b' is called 'a_b_1' in the file.", "'a-b' is called 'a_b_2' in the file."]


def test_upper_and_lower_case():
    names, _ = fit(["Age", "age", "AGE_1"], (), Naming(folds=True), "it")
    assert names == {"Age": "Age", "age": "age_1", "AGE_1": "AGE_1_1"}


def test_too_many_alike():
    with pytest.raises(OutputError, match="'xxx999' can't be told from 999 others by a name that it takes"):
        fit([f"xxx{i}" for i in range(1000, 2000)] + ["xxx999"], (), Naming(limit=3), "it")


def test_cutting_bytes_breaks_no_character():
    assert cut("aéé", 4, in_bytes=True) == "aé"
    assert cut("aéé", 2) == "aé"

"""Imputations made by hand: every kind of column, and awkward values in each."""

import numpy as np
import pandas as pd

from microimpute import Imputations, Survey
from microimpute.export.base import formats
from microimpute.export.content import Content
from microimpute.frames import as_frame

LABELS = {"age": "age in years", "weight": "final household weight"}
TEXTS = ["a,b", 'say "so"', "", None, "Zürich", "NA", " left", "tab\tin", "don't", "日本", "1", "TRUE"]


def path(folder, name, stem="out"):
    return folder / f"{stem}{formats()[name].suffix}"


def receiver(n=12):
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "id": np.arange(n) + 10**10,
            "weight": rng.exponential(size=n) * 1000,
            "age": pd.array([None if i % 5 == 4 else 20 + i for i in range(n)], dtype="Int64"),
            "income": np.where(np.arange(n) % 4 == 3, np.nan, rng.normal(size=n) * 1e5),
            "owner": pd.array([None, True, False] * (n // 3), dtype="boolean"),
            "comment": (TEXTS * n)[:n],
            "class": pd.Categorical((["lo", "hi", None] * n)[:n], categories=["lo", "mid", "hi"], ordered=True),
            "born": pd.array((["1950-03-01", None] * n)[:n], dtype="datetime64[us]"),
        }
    )


def imputations(n=12, m=3, frame=None, **values):
    """Amounts, whole numbers, flags, text, ordered classes and a derived total, imputed m times."""
    rng = np.random.default_rng(2)
    drawn = [
        {
            "wealth": rng.normal(size=n) * 1e6,
            "children": rng.integers(-3, 300, n),
            "renter": rng.random(n) < 0.5,
            "region": rng.choice(["north", "south", "Île-de-France"], n),
            "health": pd.Categorical.from_codes(rng.integers(0, 2, n), ["bad", "fair", "good"], ordered=True),
        }
        for _ in range(m)
    ]
    blocks = [pd.DataFrame(one | {"total": one["wealth"] + one["children"]}) for one in drawn]
    return of(receiver(n) if frame is None else frame, blocks, **values)


def of(frame, blocks, derived=("total",), **design):
    wrapped = [as_frame(block) for block in blocks]
    columns = tuple(wrapped[0].columns)
    design = {"weight": "weight", "keys": "id", "labels": LABELS} | design
    manifest = {
        "method": {"name": "hotdeck"},
        "m": len(blocks),
        "derived": list(derived),
        "targets": [{"name": "wealth", "label": "net worth of the household"}],
    }
    values = {c: tuple(w[c] for w in wrapped) for c in columns}
    return Imputations(Survey(frame, **design), columns, values, manifest)


def assert_same(back, made):
    """Every value, every type and the design are as they were, in all implicates."""
    assert back.columns == made.columns
    assert back.m == made.m
    assert dict(back.manifest) == dict(made.manifest)
    for part in (
        "weight",
        "keys",
        "labels",
        "kinds",
        "dollars",
        "unit",
        "source",
        "household",
        "replicates",
        "replicate_rule",
    ):
        assert getattr(back.receiver, part) == getattr(made.receiver, part), part
    for i in range(made.m + 1):
        ours, theirs = Content(made).block(i), Content(back).block(i)
        assert list(ours) == list(theirs)
        for name, array in ours.items():
            assert theirs[name].to_pylist() == array.to_pylist(), (i, name)
            assert theirs[name].type == array.type, (i, name)
            if hasattr(array, "dictionary"):
                assert theirs[name].dictionary.to_pylist() == array.dictionary.to_pylist()

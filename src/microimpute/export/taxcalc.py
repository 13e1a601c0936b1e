"""Tax-Calculator: one table of tax-unit records per implicate, as ``taxcalc.Records`` takes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from microimpute import storage
from microimpute.errors import OutputError
from microimpute.frames import read_file
from microimpute.survey import Survey
from microimpute.units import Link, Rule, spread
from microimpute.units.people import HEAD

if TYPE_CHECKING:
    from microimpute.imputations import Imputations

__all__ = ["HEAD", "HOUSEHOLD", "WEIGHT", "read_units", "records", "write"]

#: Columns that name a household in cps.csv.gz.
HOUSEHOLD = ("FLPDYR", "h_seq")
#: Weight that `read_units` adds beside `HEAD`; Tax-Calculator ignores names that it does not know.
WEIGHT = "unit_weight"
_NEEDED = (*HOUSEHOLD, "ffpos", "a_lineno", "s006", "DSI", "MARS", "age_head", "age_spouse", "XTOT", "RECID")


def read_units(path: str | Path) -> Survey:
    """Read Tax-Calculator's ``cps.csv.gz`` as it is, one row per tax unit, in the file's order.

    Returns
    -------
    Survey
        All columns of the file with their values, and two more: `WEIGHT`, which is s006 / 100, and `HEAD`, 1 for the
        unit whose taxpayer is the householder to the connector ``cps_tax_units``, else 0.

    Raises
    ------
    SurveyError
        If the file can't be read.
    OutputError
        If it is another file; names the columns that it lacks.

    Notes
    -----
    The order matters: Tax-Calculator's weights for later years (``cps_weights.csv.gz``) go by row.
    """
    data = read_file(Path(path)).to_pandas()
    if missing := [c for c in _NEEDED if c not in data]:
        raise OutputError(
            f"{Path(path).name} is not Tax-Calculator's CPS file: it has no column {', '.join(missing)}",
            "Give cps.csv.gz, which is also in the PyPI package taxcalc.",
        )
    head = _heads(data)
    frame = data.assign(**{WEIGHT: data["s006"].to_numpy(np.float64) / 100.0, HEAD: head})
    return Survey(
        frame,
        weight=WEIGHT,
        keys="RECID" if data["RECID"].is_unique else (),
        household=HOUSEHOLD,
        unit="tax unit",
        source=f"CPS ASEC 2013-2015 as tax units ({Path(path).name})",
    )


def _heads(data: pd.DataFrame) -> Any:
    """Say which unit is its household's first: family, then no dependant and of age, then line in the household."""
    subordinate = (data["DSI"].to_numpy() == 1) | (data["age_head"].to_numpy() < 18)
    order = np.lexsort(
        (data["a_lineno"], subordinate, data["ffpos"], *(data[c] for c in reversed(HOUSEHOLD))),
    )
    first = ~data[list(HOUSEHOLD)].iloc[order].duplicated().to_numpy()
    head = np.zeros(len(data), dtype=np.int64)
    head[order[first]] = 1
    return head


def records(
    imputations: Imputations,
    implicate: int,
    units: Survey,
    columns: Mapping[str, Rule | str],
    *,
    names: Mapping[str, str] | None = None,
    replace: Sequence[str] = (),
    unmatched: float = 0.0,
) -> Survey:
    """Return tax units with one implicate of households' variables.

    Parameters
    ----------
    imputations
        Over households as ``cps_tax_units`` reads them.
    implicate
        1 … m.
    units
        As `read_units` gives them; all of the households' units.
    columns
        Imputed column (or another of the receiver's) → how its amount is divided among a household's units:
        ``"head"``, ``"equal"``, ``"by e00200"``, ``"copy"``, or a rule of `microimpute.units`. It is declared, not
        guessed.
    names
        Column → its name among the records, such as one that Tax-Calculator reads.
    replace
        Columns of the units that an imputed one takes the place of; without this a name that is there already is
        refused.
    unmatched
        Largest share of units without household, and of households without units, to let pass; such units are
        left out of the records, and counted in the notes.

    Returns
    -------
    Survey
        Its frame goes into ``taxcalc.Records(data=frame, start_year=2014)``, which takes amounts as they are, or into
        ``taxcalc.Records.cps_constructor(data=frame)``, which ages them by the package's own growth factors and
        weights; those weights go by row, so that only records of the whole file, none left out, fit. Every
        column that was not imputed is unaltered, and a household's amounts add up to what was imputed, to the last
        bit (not for ``"copy"``).

    Raises
    ------
    SurveyError
        If households and units do not match, or a column is not there or can't be divided.
    OutputError
        If a column to be replaced is not there, or nothing takes its place.
    """
    made = {(names or {}).get(c, c) for c in columns}
    if odd := [c for c in replace if c not in units.columns or c not in made]:
        raise OutputError(
            f"{odd[0]!r} is to be replaced, and is no column of the units that an imputed one is named after",
            f"Name it in names={{...}}: what is imputed is called {', '.join(sorted(made))}.",
        )
    kept = Survey(
        units.frame.drop(*replace) if replace else units.frame,
        weight=units.weight,
        household=units.household,
        notes=(*units.notes, *(f"{c} is imputed; the file's own values are not used." for c in replace)),
    )
    households = _households(imputations, implicate)
    link = Link(households, kept, on=households.keys, head=HEAD, unmatched=unmatched)
    out = spread(link, columns, names=names)
    frame = out.frame.to_native()
    if (link.household < 0).any():
        frame = frame[link.household >= 0]
    return Survey(
        frame[[c for c in units.columns if c in frame] + [c for c in frame if c not in units.columns]],
        weight=units.weight,
        household=units.household,
        unit=units.unit,
        notes=out.notes,
    )


def _households(imputations: Imputations, implicate: int) -> Survey:
    """Return the receiver completed with one implicate."""
    receiver = imputations.receiver
    return Survey(
        imputations.completed(implicate),
        weight=receiver.weight,
        keys=receiver.keys,
        kinds=receiver.kinds,
        labels=receiver.labels,
        unit=receiver.unit,
    )


def write(
    imputations: Imputations,
    folder: str | Path,
    units: Survey,
    columns: Mapping[str, Rule | str],
    **options: Any,
) -> tuple[str, ...]:
    """Write ``records_1.csv.gz`` … of all implicates into a new directory, and ``records.json`` about them.

    Parameters
    ----------
    imputations, units, columns, options
        As `records` takes them.
    folder
        New or empty.

    Returns
    -------
    tuple of str
        What was done, a sentence each.

    Raises
    ------
    OutputError
        If something stands there already.
    """
    with storage.new_directory(Path(folder)) as scratch:
        for i in range(1, imputations.m + 1):
            one = records(imputations, i, units, columns, **options)
            one.frame.to_native().to_csv(scratch / f"records_{i}.csv.gz", index=False)
        said = {
            "program": "Tax-Calculator",
            "m": imputations.m,
            "draws": imputations.draws,
            "columns": {c: str(rule) for c, rule in columns.items()},
            "names": dict(options.get("names") or {}),
            "replaced": list(options.get("replace", ())),
            "notes": list(one.notes),
            "manifest": dict(imputations.manifest),
        }
        (scratch / "records.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    return one.notes

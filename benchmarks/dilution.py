"""Whether a fixed set of targets gets worse as others are drawn with it: held-out households of the SCF 2019.

    python benchmarks/dilution.py PATH/TO/SCFP2019.zip [--methods forest forest:block=1000 ...] [--seeds 3]

Half of the households of implicate 1 give, the other half receive, as in heldout.py. Eight parts of the balance sheet
are scored: CRPS and energy score on their standardised asinh dollars, 20 draws, learnt once. Drawn before them (the
harder order; --last for the other) are 0, 8, 24 or 48 more targets: "further" ones are real columns of the survey;
"unrelated" ones are the wealth of two other households drawn at random, whose predictors stand beside the household's
own (whatever the number of targets), so that splits that help them help nothing else.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import parallel_config
from scoring import Scale, crps, energy_score
from settings import parsed

from microimpute import Fusion, Survey
from microimpute.crosswalks.base import crosswalk
from microimpute.data import bundled
from microimpute.keyed import RowRandom
from microimpute.methods.base import method
from microimpute.rules import derivation_order, parse_all
from microimpute.surveys.base import connector

DRAWS = 20
COUNTS = (0, 8, 24, 48)


class Source:
    """Implicate 1 of the survey with the crosswalk's predictors."""

    def __init__(self, path: Path, fixed: int) -> None:
        walk = crosswalk("scf_to_cps_tax_units")
        sample = connector("cps_tax_units").read(bundled("cps_2013_2015_sample.parquet"))
        survey, _ = walk.harmonise(connector("scf").read(path), sample, dollars=2019)
        self.frame = survey.frame.filter(survey.frame["IMPLICATE"] == 1).to_pandas()
        self.predictors = list(walk.predictors)
        totals = {i.total for i in derivation_order(parse_all(walk.rules))}
        parts = [t for t in walk.targets if t not in totals]
        common = (self.frame[parts] != 0).mean().sort_values(ascending=False)
        self.fixed = sorted(common.index[:fixed], key=parts.index)
        self.parts = [t for t in parts if t not in self.fixed]
        known = {*parts, *totals, *self.predictors, "YY1", "Y1", "WGT", "IMPLICATE"}
        self.others = [c for c in self.frame if c not in known and self._amount(c)]

    def _amount(self, column: str) -> bool:
        """Whether a column is an amount of dollars that says something of its own."""
        values = self.frame[column]
        return bool(pd.api.types.is_numeric_dtype(values) and values.abs().max() > 1000 and values.nunique() > 100)

    def extras(self, kind: str, count: int, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return more targets, and the predictors that go with them."""
        if kind == "further":
            chosen = [*self.parts, *self.others][:count]
            if len(chosen) < count:
                raise SystemExit(f"the survey has only {len(chosen)} further columns")
            return self.frame[chosen].add_prefix("more "), self.frame[[]]
        parts = [*self.fixed, *self.parts]
        strangers = [self.frame.iloc[rng.permutation(len(self.frame))].set_axis(self.frame.index) for _ in range(2)]
        targets = pd.concat([f[parts[:24]].add_suffix(f" of {i}") for i, f in enumerate(strangers)], axis=1)
        predictors = [f[self.predictors].add_suffix(f" of {i}") for i, f in enumerate(strangers)]
        return targets.iloc[:, :count], pd.concat(predictors, axis=1)


def scores(source: Source, said: str, kind: str, count: int, seed: int, last: bool) -> tuple[float, float]:
    """Energy score and CRPS of the fixed targets with so many others drawn along."""
    extras, beside = source.extras(kind, count, np.random.default_rng([seed, 60]))
    own = source.frame[["YY1", "WGT", *source.predictors, *source.fixed]]
    predictors = [*source.predictors, *beside]
    frame = pd.concat([own, beside, extras], axis=1)
    giving = np.random.default_rng(seed).random(len(frame)) < 0.5
    held_out = frame[~giving].reset_index(drop=True)
    targets = [*source.fixed, *extras] if last else [*extras, *source.fixed]
    fusion = Fusion(
        Survey(frame[giving].reset_index(drop=True), weight="WGT", keys="YY1"),
        Survey(held_out[["YY1", "WGT", *predictors]], weight="WGT", keys="YY1"),
        targets=targets,
        predictors=predictors,
        kinds=dict.fromkeys(targets, "semicontinuous"),
    )
    training = fusion.training(1)
    with parallel_config(backend="threading", n_jobs=2):
        chosen = method(*parsed(said))
        fitted = chosen.fit(training.X, training.Y, training.weight, np.random.default_rng(seed))
    places = [fusion.targets.index(t) for t in source.fixed]
    keys = fusion.receiver_keys
    drawn = np.stack([fitted.draw(fusion.receivers, RowRandom(seed, i, keys))[:, places] for i in range(DRAWS)])
    scale = Scale(training.Y.values[:, places], training.weight)
    z, truth, weight = scale(drawn), scale(held_out[source.fixed].to_numpy(np.float64)), held_out["WGT"].to_numpy()
    return energy_score(z, truth, weight), crps(z, truth, weight)


def line(name: str, kind: str, found: np.ndarray) -> str:
    """One line of the table; `found` has shape (seeds, counts, 2)."""
    change = found - found[:, :1]
    error = change.std(axis=0, ddof=1) / np.sqrt(len(found)) if len(found) > 1 else np.full(change.shape[1:], np.nan)
    cells = []
    for which in (0, 1):
        for at in range(len(COUNTS)):
            told = f" ({change[:, at, which].mean():+.4f} ± {error[at, which]:.4f})" if at else ""
            cells.append(f"{found[:, at, which].mean():.4f}{told}")
    return f"| {name} | {kind} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scf", type=Path, help="the SCF 2019 summary extract")
    parser.add_argument("--methods", nargs="+", default=["shuffle", "forest", "qrf", "forest:block=1000"])
    parser.add_argument("--seeds", type=int, default=3, help="number of splits")
    parser.add_argument("--last", action="store_true", help="draw the others after the fixed targets")
    said = parser.parse_args()
    source = Source(said.scf, 8)
    print(f"Scored: {', '.join(source.fixed)}; others drawn {'after' if said.last else 'before'} them.\n")
    heads = [f"{what}, {count} others" for what in ("energy score", "CRPS") for count in COUNTS]
    print("| method | others | " + " | ".join(heads) + " |\n|---|---|" + "---|" * len(heads))
    for name in said.methods:
        for kind in ("unrelated", "further"):
            by_seed = [[scores(source, name, kind, c, seed, said.last) for c in COUNTS] for seed in range(said.seeds)]
            print(line(name, kind, np.array(by_seed)), flush=True)


if __name__ == "__main__":
    main()

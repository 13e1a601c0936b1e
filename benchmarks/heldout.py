"""Held-out households of the SCF: half of them give, the other half receive, truth is known.

    python benchmarks/heldout.py PATH/TO/SCFP2019.zip [--variants] [--seeds 3] [--targets 15|26|40]

Without --variants: the default against the null, four other methods, and a chain of quantile forests (package
defaults, donors resampled by weight). With it: settings of the forest, from which the default was chosen.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from joblib import parallel_config
from scipy import stats
from scoring import Scale, classifier_auc, crps, energy_score, rank_correlation_error

from microimpute import rules as edit_rules
from microimpute.crosswalks.base import crosswalk
from microimpute.data import bundled
from microimpute.fusion import Fusion
from microimpute.keyed import RowRandom
from microimpute.methods.base import method
from microimpute.survey import Survey, replace_survey
from microimpute.surveys.base import connector

DRAWS = 20
#: Targets that stand for fewer: the larger items of the balance sheet.
FEW = (
    *("LIQ", "CDS", "NMMF", "STOCKS", "BOND", "RETQLIQ", "VEHIC", "HOUSES", "ORESRE", "ACTBUS"),
    *("NH_MORT", "RESDBT", "CCBAL", "VEH_INST", "EDN_INST"),
)
#: Items whose parts stand for them where there are to be more.
PARTS = {
    "LIQ": ("CHECKING", "PREPAID", "SAVING", "MMDA", "MMMF", "CALL"),
    "NMMF": ("STMUTF", "TFBMUTF", "GBMUTF", "OBMUTF", "COMUTF", "OMUTF"),
    "RETQLIQ": ("IRAKH", "THRIFT", "FUTPEN", "CURRPEN"),
    "OTHMA": ("ANNUIT", "TRUSTS"),
}


class Split:
    """One implicate of the SCF, its households divided at random into donors and receivers."""

    def __init__(self, path: Path, seed: int, count: int = 26) -> None:
        walk = crosswalk("scf_to_cps_tax_units")
        sample = connector("cps_tax_units").read(bundled("cps_2013_2015_sample.parquet"))
        survey, _ = walk.harmonise(connector("scf").read(path), sample, dollars=2019)
        frame = survey.frame.filter(survey.frame["IMPLICATE"] == 1)
        predictors = walk.predictors
        giving = np.random.default_rng(seed).random(len(frame)) < 0.5
        donor = replace_survey(survey, frame=frame.filter(giving.tolist()), implicate=None)
        held_out = frame.filter((~giving).tolist())
        receiver = Survey(held_out.select("YY1", "WGT", *predictors), weight="WGT", keys="YY1")
        targets, rules = walk.targets, walk.rules
        if count != len(targets):
            targets = FEW if count == len(FEW) else tuple(p for t in targets for p in PARTS.get(t, (t,)))
            rules = tuple(str(r) for r in edit_rules.parse_all(rules) if set(r.columns) <= set(targets))
        self.fusion = Fusion(donor, receiver, targets=targets, predictors=predictors, rules=rules)
        self.truth = np.column_stack([held_out[t].to_numpy() for t in targets])
        self.weight = held_out["WGT"].to_numpy()
        training = self.fusion.training(1)
        self.scale = Scale(training.Y.values, training.weight)


Draw = Callable[[Split, int], np.ndarray]


def ours(name: str, **settings: object) -> Draw:
    """One of our methods, learnt once (without resampling the donors) and drawn from 20 times."""

    def draw(split: Split, seed: int) -> np.ndarray:
        training = split.fusion.training(1)
        X = split.fusion.receivers
        with parallel_config(backend="threading", n_jobs=2):
            fitted = method(name, settings).fit(training.X, training.Y, training.weight, np.random.default_rng(seed))
        keys = split.fusion.receiver_keys
        return np.stack([fitted.draw(X, RowRandom(seed, i, keys)) for i in range(DRAWS)])

    return draw


def quantile_forest_chain(split: Split, seed: int) -> np.ndarray:
    """Target by target given the ones before: a draw is a random one of 99 predicted quantiles."""
    from quantile_forest import RandomForestQuantileRegressor

    training = split.fusion.training(1)
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(training.weight), len(training.weight), p=training.weight / training.weight.sum())
    ours, Y = training.X.values[rows], training.Y.values[rows]
    theirs = np.tile(split.fusion.receivers.values, (DRAWS, 1))
    levels = [q / 100 for q in range(1, 100)]
    drawn = []
    for target in Y.T:
        model = RandomForestQuantileRegressor(n_jobs=2, random_state=seed).fit(ours, target)
        guess = model.predict(theirs, quantiles=levels)
        drawn.append(guess[np.arange(len(theirs)), rng.integers(99, size=len(theirs))])
        ours, theirs = np.column_stack([ours, target]), np.column_stack([theirs, drawn[-1]])
    return np.stack(drawn, axis=-1).reshape(DRAWS, -1, Y.shape[1])


def broken(split: Split, draws: np.ndarray) -> float:
    """Share of draws that break at least one of the edit rules."""
    from microimpute.rules import Identity

    columns = {t: draws[:, :, i] for i, t in enumerate(split.fusion.targets)}
    edits = [r for r in split.fusion.rules if not isinstance(r, Identity)]
    return float(np.mean(np.any([r.broken(columns) for r in edits], axis=0)))


def score(split: Split, draw: Draw, seed: int) -> list[float]:
    """Energy score, CRPS, classifier, rank correlation error, broken rules, seconds."""
    start = time.perf_counter()
    draws = draw(split, seed)
    seconds = time.perf_counter() - start
    z, truth, X = split.scale(draws), split.scale(split.truth), split.fusion.receivers.values
    return [
        energy_score(z, truth, split.weight),
        crps(z, truth, split.weight),
        classifier_auc(X, draws[0], split.truth, split.weight),
        rank_correlation_error(X, draws[0], split.truth),
        broken(split, draws),
        seconds,
    ]


COMPARISON: dict[str, Draw] = {
    "shuffle": ours("shuffle"),
    "hotdeck": ours("hotdeck"),
    "forest (default)": ours("forest"),
    "qrf": ours("qrf"),
    "srmi": ours("srmi"),
    "pmm": ours("pmm"),
    "quantile-forest chain": quantile_forest_chain,
}
VARIANTS: dict[str, Draw] = {
    "default": ours("forest"),
    "trees 10": ours("forest", trees=10),
    "trees 50": ours("forest", trees=50),
    "leaf 5": ours("forest", leaf=5),
    "leaf 20": ours("forest", leaf=20),
    "features .33": ours("forest", features=0.33),
    "features 1": ours("forest", features=1.0),
    "share 1": ours("forest", share=1.0),
    "share .25": ours("forest", share=0.25),
    "blocks of 2": ours("forest", block=2),
    "blocks of 4": ours("forest", block=4),
    "blocks of 8": ours("forest", block=8),
    "one block (joint forest)": ours("forest", block=1000),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scf", type=Path, help="the SCF 2019 summary extract")
    parser.add_argument("--variants", action="store_true", help="settings of the forest")
    parser.add_argument("--seeds", type=int, default=3, help="number of splits")
    parser.add_argument("--targets", type=int, default=26, choices=(15, 26, 40))
    said = parser.parse_args()
    splits = [Split(said.scf, seed, said.targets) for seed in range(said.seeds)]
    found: dict[str, np.ndarray] = {}
    print("| method | energy score | CRPS | classifier AUC | rank corr. error | rules broken | seconds |")
    print("|---|---|---|---|---|---|---|")
    for name, draw in (VARIANTS if said.variants else COMPARISON).items():
        rows = np.array([score(split, draw, seed) for seed, split in enumerate(splits)])
        found[name] = rows
        mean, error = rows.mean(axis=0), rows.std(axis=0, ddof=1) / np.sqrt(len(rows))
        es, cr, auc, corr, rules, seconds = mean
        print(
            f"| {name} | {es:.4f} ± {error[0]:.4f} | {cr:.4f} | {auc:.3f} | {corr:.4f} | {rules:.2%} | {seconds:.1f} |",
            flush=True,
        )
    if not said.variants:
        against(found, "quantile-forest chain")


def against(found: dict[str, np.ndarray], other: str) -> None:
    """Print how sure it is that each method has a smaller energy score and CRPS than another, split by split."""
    print(
        f"\n| method | energy score less that of {other} | P(better) | CRPS less | P(better) |\n|---|---|---|---|---|"
    )
    for name in (n for n in found if n != other):
        off = (found[name] - found[other])[:, :2]
        error = off.std(axis=0, ddof=1) / np.sqrt(len(off))
        sure = stats.t.cdf(-off.mean(axis=0) / error, len(off) - 1)
        cells = [f"{d:+.4f} ± {e:.4f} | {p:.3f}" for d, e, p in zip(off.mean(axis=0), error, sure, strict=True)]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

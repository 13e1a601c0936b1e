"""What R's mice draws for the same donors and receivers, within Monte Carlo error.

`tests/golden/mice_fusion*.csv` come from `benchmarks/peers/mice_golden.R` (mice 3.15.0, R 4.2.2, 200 implicates).
"""

from pathlib import Path

import numpy as np
import pandas as pd

from microimpute import impute, method

GOLDEN = Path(__file__).parents[1] / "golden"
#: Implicates of ours.
M = 200


def figures(d):
    """The figures of the R script, of one implicate's receivers."""
    out = {}
    for target, inputs in (("y1", ["x1", "x2"]), ("y2", ["y1", "x1", "x2"])):
        columns = np.column_stack([np.ones(len(d)), d[inputs]])
        slopes = np.linalg.lstsq(columns, d[target], rcond=None)[0][1:3]
        out |= {f"{target} on {name}": slope for name, slope in zip(inputs, slopes, strict=False)}
        q05, q50, q95 = np.quantile(d[target], [0.05, 0.5, 0.95])
        out |= {f"{target} mean": d[target].mean(), f"{target} variance": d[target].var(ddof=1)}
        out |= {f"{target} q05": q05, f"{target} q50": q50, f"{target} q95": q95}
    return out


def drawn(study, name, **settings):
    both = pd.read_csv(GOLDEN / "mice_fusion.csv").query("study == @study").reset_index(drop=True)
    lacking = both["y1"].isna()
    receiver = both.loc[lacking, ["x1", "x2"]].reset_index(drop=True)
    done = impute(
        both[~lacking].reset_index(drop=True),
        receiver,
        targets=["y1", "y2"],
        predictors=["x1", "x2"],
        kinds={"x1": "categorical" if study == "classes" else "continuous", "x2": "binary"},
        method=method(name, settings),
        m=M,
    )
    y1, y2 = done.numbers("y1"), done.numbers("y2")
    return pd.DataFrame([figures(receiver.assign(y1=y1[i], y2=y2[i])) for i in range(M)])


def compared(study, name, theirs, **settings):
    """Differences of means in Monte Carlo standard errors and in spreads between implicates; variances' ratios."""
    golden = pd.read_csv(GOLDEN / "mice_fusion_figures.csv").query("study == @study and method == @theirs")
    golden = golden.set_index("figure")
    ours = drawn(study, name, **settings)
    between, apart = ours.var(ddof=1), ours.mean() - golden["mean"]
    return pd.DataFrame(
        {
            "ours": ours.mean(),
            "theirs": golden["mean"],
            "errors": apart / np.sqrt(between / M + golden["between"] / golden["m"]),
            "spreads": apart / np.sqrt(golden["between"]),
            "ratio": between / golden["between"],
        }
    )


def test_srmi_draws_what_mice_norm_draws():
    """With classes as predictors both are the same regression; figures agree within 4 Monte Carlo errors.

    The ratio of two variances of 200 implicates has an error of 2/√200 = .14 on its logarithm.
    """
    found = compared("classes", "srmi", "norm")
    assert (found["errors"].abs() < 4).all(), found
    assert (np.log(found["ratio"]).abs() < 4 * 2 / np.sqrt(M)).all(), found


def test_srmi_draws_what_mice_norm_draws_along_a_line():
    """A number's line may bend in srmi, not in norm: estimates differ by less than their own posterior spread."""
    found = compared("line", "srmi", "norm")
    assert (found["spreads"].abs() < 0.75).all(), found
    assert (np.log(found["ratio"]).abs() < 4 * 2 / np.sqrt(M)).all(), found

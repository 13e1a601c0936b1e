"""R's own packages load what is exported: mice and mitools pool it, haven and readstata13 read its labels."""

import csv
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made import LABELS, imputations, path, receiver

from microimpute import pool
from microimpute.errors import OutputError

N = 60


@pytest.fixture(scope="module")
def installed():
    """Names of R's installed packages; skips where there is no R."""
    if shutil.which("Rscript") is None:
        pytest.skip("there is no Rscript on the path")
    said = subprocess.run(
        ["Rscript", "-e", "cat(rownames(installed.packages()))"], capture_output=True, text=True, check=True
    )
    return said.stdout.split()


@pytest.fixture
def run(installed, tmp_path):
    """Run R in a directory, with what is needed of packages, and return the table that it leaves as out.csv."""

    def do(code, *packages):
        for package in packages:
            if package not in installed:
                pytest.skip(f"R's package {package} is not installed")
        (tmp_path / "test.R").write_text(code, encoding="utf-8")
        done = subprocess.run(["Rscript", "--vanilla", "test.R"], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as handle:
            return list(csv.DictReader(handle))

    return do


def regressions(made, weighted=False):
    """Estimates and variances of wealth on income in each implicate, by least squares."""
    estimates, variances = [], []
    for i in range(1, made.m + 1):
        one = pd.DataFrame(made.complete(i)).dropna(subset=["income"])
        x = np.column_stack([np.ones(len(one)), one["income"]])
        w = one["weight"].to_numpy() if weighted else np.ones(len(one))
        bread = np.linalg.inv(x.T @ (w[:, None] * x))
        beta = bread @ x.T @ (w * one["wealth"].to_numpy())
        left = one["wealth"].to_numpy() - x @ beta
        if weighted:  # survey's linearisation: rows are clusters, those outside the subset count as such
            score = (w * left)[:, None] * x
            meat = score.T @ score * len(made) / (len(made) - 1)
            covariance = bread @ meat @ bread
        else:
            covariance = bread * (left @ left) / (len(one) - 2)
        estimates.append(beta)
        variances.append(np.diag(covariance))
    return np.array(estimates), np.array(variances), len(one) - 2


def numbers(rows, column):
    return [float(row[column]) for row in rows]


def test_mice_makes_a_mids_and_pools_it(run, tmp_path):
    made = imputations(N)
    made.export(tmp_path / "out data.csv", "mice")
    (tmp_path / "made").mkdir()
    rows = run(
        """
        source("out data.R", chdir = TRUE)
        stopifnot(mice::is.mids(imputed), imputed$m == 3, nrow(imputed$data) == 60)
        stopifnot(is.factor(imputed$data$region), is.ordered(imputed$data$health), is.ordered(imputed$data$class))
        stopifnot(identical(levels(imputed$data$health), c("bad", "fair", "good")))
        stopifnot(is.logical(imputed$data$renter), inherits(imputed$data$born, "Date"))
        stopifnot(all(is.na(imputed$data$wealth)), anyNA(imputed$data$income))
        one <- mice::complete(imputed, 2)
        stopifnot(attr(one$age, "label") == "age in years", attr(one$wealth, "label") == "net worth of the household")
        stopifnot(attr(one$region, "label") == "imputed by hotdeck")
        all <- mice::complete(imputed, "long")
        write.csv(all, "made/all.csv", row.names = FALSE, na = "")
        write.csv(summary(mice::pool(with(imputed, lm(wealth ~ income)))), "out.csv")
        """,
        "mice",
    )
    estimates, variances, df = regressions(made)
    pooled = pool(estimates, variances, dfcom=df)
    assert numbers(rows, "estimate") == pytest.approx(pooled.estimate, rel=1e-9)
    assert numbers(rows, "std.error") == pytest.approx(pooled.std_error, rel=1e-9)
    assert numbers(rows, "df") == pytest.approx(pooled.df, rel=1e-6)
    everything = pd.read_csv(tmp_path / "made" / "all.csv", keep_default_na=False)
    for i in range(1, 4):
        one, ours = everything[everything[".imp"] == i], made.complete(i)
        assert one["wealth"].astype(float).to_numpy() == pytest.approx(ours["wealth"], rel=1e-14)
        for column in ("region", "health", "children"):
            assert one[column].tolist() == ours[column].tolist()
        assert one["renter"].tolist() == ours["renter"].tolist()
        assert one["comment"].tolist() == ours["comment"].fillna("").tolist()
        assert one["age"].tolist() == ["" if pd.isna(v) else str(v) for v in ours["age"]]


def test_mitools_and_survey_pool_the_list(run, tmp_path):
    made = imputations(N)
    made.export(tmp_path / "list", "mitools")
    rows = run(
        """
        library(survey)
        source("list/read.R", chdir = TRUE)
        stopifnot(inherits(implicates, "imputationList"), length(implicates$imputations) == 3)
        one <- implicates$imputations[[1]]
        stopifnot(is.factor(one$region), is.ordered(one$health), attr(one$age, "label") == "age in years")
        design <- survey::svydesign(ids = ~1, weights = implicates$imputations[[1]][["weight"]], data = implicates)
        design <- subset(design, !is.na(income))
        plain <- summary(mitools::MIcombine(with(implicates, lm(wealth ~ income))))
        weighted <- summary(mitools::MIcombine(with(design, survey::svyglm(wealth ~ income))))
        write.csv(rbind(plain, weighted), "out.csv")
        """,
        *("mitools", "survey"),
    )
    for part, weighted in ((rows[:2], False), (rows[2:], True)):
        pooled = pool(*regressions(made, weighted)[:2])
        assert numbers(part, "results") == pytest.approx(pooled.estimate, rel=1e-9)
        assert numbers(part, "se") == pytest.approx(pooled.std_error, rel=1e-9)


def test_haven_reads_stata_s_labels_and_missing_values(run, tmp_path):
    made = imputations(12)
    made.export(tmp_path / "out.dta", "stata")
    rows = run(
        """
        d <- haven::read_dta("out.dta")
        stopifnot(nrow(d) == 48, all(d$`_mi_m` == rep(0:3, each = 12)), all(d$`_mi_id` == rep(1:12, 4)))
        stopifnot(!any(haven::is_tagged_na(d$wealth)), identical(is.na(d$wealth), d$`_mi_m` == 0))
        stopifnot(inherits(d$born, "Date"), d$born[1] == as.Date("1950-03-01"))
        labels <- sapply(d, function(x) { l <- attr(x, "label", exact = TRUE); if (is.null(l)) "" else l })
        levels <- sapply(d, function(x) paste(names(attr(x, "labels")), collapse = "|"))
        write.csv(data.frame(name = names(d), labels, levels), "out.csv")
        """,
        "haven",
    )
    said = {row["name"]: row for row in rows}
    assert said["age"]["labels"] == LABELS["age"]
    assert said["wealth"]["labels"] == "net worth of the household"
    assert said["region"]["levels"] == "north|south|Île-de-France"
    assert said["health"]["levels"] == "bad|fair|good"


@pytest.mark.parametrize("name", ["stata", "stata-mlong"])
def test_readstata13_reads_the_characteristics(name, run, tmp_path):
    made = imputations(12)
    made.export(tmp_path / "out.dta", name)
    rows = run(
        """
        d <- readstata13::read.dta13("out.dta", convert.factors = FALSE)
        write.csv(d, "data.csv", row.names = FALSE, na = "")
        fields <- attr(d, "expansion.fields")
        write.csv(as.data.frame(do.call(rbind, fields)), "out.csv")
        """,
        "readstata13",
    )
    found = {row["V2"]: row["V3"] for row in rows if row["V1"] == "_dta"}
    assert found.pop("_mi_update").isdigit()
    assert found == {
        "_mi_marker": "_mi_ds_1",
        "_mi_style": name.replace("stata-", "").replace("stata", "flong"),
        "_mi_M": "3",
        "_mi_N": "12",
        "_mi_ivars": "wealth children renter region health",
        "_mi_pvars": "total",
        "_mi_rvars": " ".join(receiver().columns),
    } | ({"_mi_n": "12"} if name == "stata-mlong" else {})
    data = pd.read_csv(tmp_path / "data.csv")
    for i in range(1, 4):
        assert data.loc[data["_mi_m"] == i, "wealth"].to_numpy() == pytest.approx(made.numbers("wealth")[i - 1])


def test_haven_reads_spss(run, tmp_path):
    pytest.importorskip("pyreadstat", reason="pyreadstat is not installed")
    made = imputations(12)
    made.export(tmp_path / "out.sav", "spss")
    rows = run(
        """
        d <- haven::read_sav("out.sav")
        stopifnot(all(d$Imputation_ == rep(0:3, each = 12)), identical(is.na(d$wealth), as.vector(d$Imputation_ == 0)))
        stopifnot(inherits(d$born, "Date"), d$born[1] == as.Date("1950-03-01"))
        labels <- sapply(d, function(x) { l <- attr(x, "label", exact = TRUE); if (is.null(l)) "" else l })
        levels <- sapply(d, function(x) paste(names(attr(x, "labels")), collapse = "|"))
        wealth <- sapply(split(d$wealth, d$Imputation_), mean)
        write.csv(data.frame(name = names(d), labels, levels, wealth = c(wealth, rep(NA, ncol(d) - 4))), "out.csv")
        """,
        "haven",
    )
    said = {row["name"]: row for row in rows}
    assert said["weight"]["labels"] == LABELS["weight"]
    assert said["region"]["levels"] == "north|south|Île-de-France"
    assert said["renter"]["levels"] == "false|true"
    assert numbers(rows[1:4], "wealth") == pytest.approx(made.numbers("wealth").mean(axis=1))


def test_sas_s_table_in_r(run, tmp_path):
    """No SAS is here; what it would read is at least what R reads: codes, sorted by _Imputation_."""
    made = imputations(12)
    made.export(tmp_path / "out data.csv", "sas")
    rows = run('d <- read.csv("out data.csv"); write.csv(d, "out.csv", na = "")')
    assert numbers(rows, "X_Imputation_") == np.repeat([1, 2, 3], 12).tolist()
    assert numbers(rows[12:24], "wealth") == pytest.approx(made.numbers("wealth")[1])


def test_the_lines_of_the_documentation(run, tmp_path):
    """What docs/export.md tells a user of R to type, as it stands there."""
    text = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    first, second = (part.split("```")[0] for part in text.split("```r\n")[1:])
    made = imputations(N)
    made.export(tmp_path / "wealth.csv", "mice")
    made.export(tmp_path / "wealth", "mitools")
    rows = run(first.replace("summary(", "one <- summary(") + 'write.csv(one, "out.csv")', "mice")
    estimates, variances, df = regressions(made)
    assert numbers(rows, "std.error") == pytest.approx(pool(estimates, variances, dfcom=df).std_error, rel=1e-9)
    code = second.replace("summary(", "two <- summary(") + 'write.csv(two, "out.csv")'
    rows = run(code, "mitools", "survey")
    assert numbers(rows, "results") == pytest.approx(pool(*regressions(made, weighted=True)[:2]).estimate, rel=1e-9)


def test_columns_that_r_would_not_take_are_renamed(run, tmp_path):
    frame = receiver().assign(**{"2 b": 1, "if": 2, ".imp": 3})
    with pytest.raises(OutputError):
        imputations(frame=frame).export(tmp_path / "list.csv", "mitools-list")
    notes = imputations(frame=frame).export(path(tmp_path, "mice"), "mice")
    assert [n.split(" is called ")[1] for n in notes] == [
        "'v2_b' in the file.",
        "'if_' in the file.",
        "'.imp_' in the file.",
    ]
    rows = run('source("out.R"); write.csv(data.frame(n = names(imputed$data)), "out.csv")', "mice")
    assert [row["n"] for row in rows][8:11] == ["v2_b", "if_", ".imp_"]

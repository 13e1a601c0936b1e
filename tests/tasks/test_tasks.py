"""Every task: same seed same instance, hidden targets, honest truth; simulators against their own samplers."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from microimpute.benchmark.across import margins
from microimpute.data import bundled
from microimpute.errors import BenchmarkError
from microimpute.metrics.base import AMOUNTS, Scale
from microimpute.rules import Identity, derive
from microimpute.surveys.base import connector
from microimpute.tasks.base import ARMS, Problem, read, task, tasks
from microimpute.tasks.masking import divide, thin

PAIRS = [(name, arm) for name, cls in tasks().items() for arm in cls.arms if cls.track != "C"]
SIMULATED = [(name, arm) for name, arm in PAIRS if tasks()[name].track == "A"]
LEVELS = np.array([0.1, 0.3, 0.5, 0.7, 0.9])

#: Targets that have at least this share of zeros and non-zeros.
MASSES = {
    "wealth_simulator": ("housing", "mortgage", "financial", "business", "consumer_debt"),
    "two_donors": ("liquid",),
    "scf_halves": ("HOUSES", "NH_MORT", "RETQLIQ", "ACTBUS", "CCBAL", "EDN_INST"),
    "scf_sample": ("HOUSES", "NH_MORT", "RETQLIQ", "ACTBUS", "CCBAL", "EDN_INST"),
    "ce_spending": ("health", "tobacco", "footwear"),
    "sipp_wealth": ("ira", "a401", "hval", "hmort", "nifa", "debt", "rest"),
    "eusilc_incomes": ("wages", "self_employment", "old_age", "capital", "tax_adjustment"),
    "acs_income": ("PINCP",),
    "recs_energy": ("DOLLARNG", "DOLLARLP", "DOLLARFO"),
}
ZEROS = 0.03


@cache
def made(name: str, arm: str, seed: int, data: Path | None) -> Problem:
    return task(name).problem(seed, arm, data)


@pytest.fixture
def data(request: pytest.FixtureRequest) -> Path | None:
    """The data folder for tasks that need it, which are skipped where it is not."""
    name = request.getfixturevalue("name")
    return request.getfixturevalue("shared") / "data" if tasks()[name].files else None


def columns(problem: Problem) -> dict[str, np.ndarray]:
    drawn = dict(zip(problem.fusion.targets, problem.truth.T, strict=True))
    return drawn | derive(problem.fusion.identities, drawn)


def units(problem: Problem) -> tuple[set, set]:
    return tuple(set(s.household_keys().tolist()) for s in (problem.fusion.donor, problem.fusion.receiver))


@pytest.mark.parametrize("name", tasks())
def test_a_task_states_its_facts(name: str) -> None:
    cls = tasks()[name]
    assert cls.track in "ABC"
    assert cls.summary
    assert len(cls.summary) < 120
    assert cls.source
    assert set(cls.arms) <= set(ARMS)
    assert all(f in cls.source for f in cls.files)  # the source is the remedy when a file is missing


@pytest.mark.parametrize(("name", "arm"), PAIRS)
def test_the_seed_decides_the_instance(name: str, arm: str, data: Path | None) -> None:
    first, again = made(name, arm, 0, data), task(name).problem(0, arm, data)
    other = made(name, arm, 1, data)
    np.testing.assert_array_equal(first.truth, again.truth)
    np.testing.assert_array_equal(first.fusion.receivers.values, again.fusion.receivers.values)
    np.testing.assert_array_equal(first.fusion.donor.row_keys(), again.fusion.donor.row_keys())
    assert first.truth.shape != other.truth.shape or not np.array_equal(first.truth, other.truth)
    if first.sampler:
        one, two = (p.sampler(np.random.default_rng(5)) for p in (first, again))
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(("name", "arm"), PAIRS)
def test_targets_are_hidden_and_units_stay_together(name: str, arm: str, data: Path | None) -> None:
    problem = made(name, arm, 0, data)
    fusion = problem.fusion
    assert not {*fusion.targets, *fusion.derived} & set(fusion.receiver.columns)
    ours, theirs = units(problem)
    assert not ours & theirs
    assert 0 < len(fusion.donor) <= 5000
    assert 0 < len(fusion.receiver) <= 5000
    assert all(v.reason == "declared" for v in fusion.variables.values())
    known = ("published", "no donor is like them")  # what the data are like, not what went wrong
    assert not [n.text for n in fusion.notes if n.warning and not any(k in n.text for k in known)]


@pytest.mark.parametrize(("name", "arm"), PAIRS)
def test_the_truth_is_whole_and_obeys_the_rules(name: str, arm: str, data: Path | None) -> None:
    problem = made(name, arm, 0, data)
    fusion, values = problem.fusion, columns(problem)
    assert problem.truth.dtype == np.float64
    assert problem.truth.shape == (len(fusion.receiver), len(fusion.targets))
    assert np.isfinite(problem.truth).all()
    for rule in fusion.rules:
        assert isinstance(rule, Identity) or not rule.broken(values).any(), str(rule)
    for position, target in enumerate(fusion.targets):
        variable = fusion.variables[target]
        if variable.kind.is_class:
            assert set(problem.truth[:, position]) <= set(range(len(variable.levels)))
    for target in MASSES.get(name, ()):
        assert ZEROS < np.mean(values[target] == 0) < 1 - ZEROS, target


@pytest.mark.parametrize(("name", "arm"), PAIRS)
def test_figures_and_groups_can_be_asked(name: str, arm: str, data: Path | None) -> None:
    problem = made(name, arm, 0, data)
    weight = problem.fusion.receiver.weights()
    assert problem.figures
    assert problem.groups
    for figure in problem.figures:
        share = np.average(columns(problem)[figure.target] < figure.threshold, weights=weight)
        assert 0.01 < share < 0.99, figure
    for codes in problem.groups.values():
        assert codes.dtype == np.int64
        assert codes.shape == (len(problem.truth),)
        assert np.bincount(codes).min() > 25


@pytest.mark.parametrize("name", [n for n, c in tasks().items() if "selected" in c.arms])
def test_selection_sets_receivers_apart(name: str, data: Path | None) -> None:
    largest = []
    for arm in ARMS:
        fusion = made(name, arm, 0, data).fusion
        training = fusion.training(1)
        ranks = stats.rankdata(np.vstack([training.X.values, fusion.receivers.values]), axis=0)
        cut = len(training.X)
        ours = np.average(ranks[:cut], axis=0, weights=training.weight)
        theirs = np.average(ranks[cut:], axis=0, weights=fusion.receiver.weights())
        largest.append(np.abs(theirs - ours).max() / ranks.std(axis=0).max())
    assert largest[0] < 0.2
    assert largest[1] > 0.5


def statistics(problem: Problem, scale: Scale, Y: np.ndarray) -> np.ndarray:
    z, X = scale(Y), problem.fusion.receivers.values
    amounts = [i for i, t in enumerate(problem.fusion.targets) if problem.fusion.variables[t].kind in AMOUNTS]
    table = np.column_stack([z, X])
    correlations = np.corrcoef(table, rowvar=False)[: z.shape[1]]
    return np.concatenate([z.mean(axis=0), z.std(axis=0), (Y[:, amounts] != 0).mean(axis=0), correlations.ravel()])


@pytest.mark.parametrize(("name", "arm"), SIMULATED)
def test_the_sampler_draws_what_the_truth_was_drawn_from(name: str, arm: str) -> None:
    """The truth's means, spreads, shares and correlations lie among those of 100 draws of the sampler."""
    problem = made(name, arm, 0, None)
    training = problem.fusion.training(1)
    scale = Scale.of(training.Y, training.weight)
    rng = np.random.default_rng(7)
    draws = np.array([statistics(problem, scale, problem.sampler(rng)) for _ in range(100)])
    truth, spread = statistics(problem, scale, problem.truth), draws.std(axis=0, ddof=1)
    same = spread < 1e-9  # shares that are always one, a column with itself
    np.testing.assert_allclose(truth[same], draws[0][same], atol=1e-9)
    z = (truth - draws.mean(axis=0))[~same] / spread[~same]
    assert np.abs(z).max() < 4.5
    assert 0.7 < np.sqrt(np.mean(z**2)) < 1.4


#: Exact expectation and published mean of the pinball loss, and the true quantiles left and right of X1 = 0.
NORMAL = stats.norm.ppf(LEVELS)
PINBALL = {
    "drf_1": (0.28906, 0.2893, NORMAL, NORMAL + 0.8),
    "drf_2": (0.43359, 0.4418, NORMAL, 2 * NORMAL),
    "drf_3": (0.27279, 0.2719, NORMAL + 1, stats.expon.ppf(LEVELS)),
}


@pytest.mark.parametrize("name", PINBALL)
def test_the_truth_has_the_published_pinball_loss(name: str) -> None:
    exact, published, left, right = PINBALL[name]
    losses = []
    for seed in range(20):
        problem = made(name, "split", seed, None)
        above = problem.fusion.receivers.values[:, :1] > 0
        gap = problem.truth - np.where(above, right, left)
        losses.append(np.maximum(LEVELS * gap, (LEVELS - 1) * gap).mean(axis=1))
    loss = np.array(losses)
    assert loss.shape == (20, 1500)
    assert abs(loss.mean() - exact) < 3 * loss.std() / np.sqrt(loss.size)
    assert abs(exact - published) < loss.std() / np.sqrt(1500)  # one instance's standard error


def test_donors_of_the_simulator_agree_with_receivers_only_by_weight() -> None:
    problem = made("wealth_simulator", "split", 0, None)
    training, receiver = problem.fusion.training(1), problem.fusion.receiver
    scale = Scale.of(training.Y, training.weight)
    ours, theirs, w, v = scale(training.Y.values), scale(problem.truth), training.weight, receiver.weights()
    means = [np.average(a, axis=0, weights=b) for a, b in ((ours, w), (theirs, v))]
    error = [
        np.sqrt((((a - m) * b[:, None]) ** 2).sum(axis=0)) / b.sum()
        for a, b, m in zip((ours, theirs), (w, v), means, strict=True)
    ]
    z = (means[0] - means[1]) / np.hypot(*error)
    assert np.abs(z).max() < 4
    plain = (ours.mean(axis=0) - means[1]) / np.hypot(*error)
    assert plain[problem.fusion.targets.index("financial")] > 10
    assert w.sum() == pytest.approx(40_000, rel=0.03)


def test_wealth_and_spending_depend_on_each_other_given_predictors() -> None:
    """Rank correlation across draws of one household's networth and spending is .3, of any household."""
    problem = made("two_donors", "split", 0, None)
    rng = np.random.default_rng(3)
    draws = np.array([problem.sampler(rng) for _ in range(60)])
    ranks = stats.rankdata(draws[:, :, [0, 2]], axis=0)
    centred = ranks - ranks.mean(axis=0)
    rho = (centred[..., 0] * centred[..., 1]).sum(axis=0) / np.sqrt((centred**2).sum(axis=0).prod(axis=1))
    assert rho.mean() == pytest.approx(0.3, abs=0.01)


def test_totals_of_the_scf_are_the_published_ones() -> None:
    problem = made("scf_sample", "split", 0, None)
    frame = connector("scf").read(bundled("scf_2019_sample.parquet")).frame.to_pandas()
    frame = frame[frame["IMPLICATE"] == 1].set_index("YY1")
    rows = problem.fusion.receiver.numbers("YY1").astype(int)
    for total in ("NETWORTH", "ASSET", "DEBT"):
        np.testing.assert_allclose(columns(problem)[total], frame[total].loc[rows].to_numpy(float), atol=1.5)


def test_income_of_eusilc_is_the_files(shared: Path) -> None:
    problem = made("eusilc_incomes", "split", 0, shared / "data")
    frame = read("eusilc.csv.gz", shared / "data", task("eusilc_incomes"), ["db030", "eqIncome"])
    published = frame.groupby("db030")["eqIncome"].first()
    rows = problem.fusion.receiver.numbers("db030").astype(int)
    np.testing.assert_allclose(columns(problem)["income"], published.loc[rows].to_numpy(), atol=1e-6)


def test_spending_of_a_year_is_what_the_survey_measures(shared: Path) -> None:
    """About 50,600 to 51,300 dollars; errors are those of 10,000 interviews."""
    problem = made("ce_spending", "split", 0, shared / "data")
    donor, weight = problem.fusion.donor_columns()["total"], problem.fusion.donor.weights()
    both = np.concatenate([donor, columns(problem)["total"]])
    weights = np.concatenate([weight, problem.fusion.receiver.weights()])
    assert np.average(both, weights=weights) == pytest.approx(50_600, rel=0.04)
    assert (donor == 0).mean() < 0.001


def test_the_second_copy_of_a_quarter_is_left_out(shared: Path) -> None:
    """874 interviews stand in the copy alone; all its 2,512 rows follow the quarter's first ones in the file."""
    file = read("fmli_2013q3_2016q1_subset.csv.gz", shared / "data", task("ce_spending"), ["NEWID", "QINTRVMO"])
    copy = file.iloc[22_964:25_476]
    assert set(copy["QINTRVMO"]) == {2, 3}
    alone = set(copy["NEWID"]) - set(file.drop(copy.index)["NEWID"])
    problem = made("ce_spending", "split", 0, shared / "data")
    used = {*problem.fusion.donor.numbers("NEWID").astype(int), *problem.fusion.receiver.numbers("NEWID").astype(int)}
    assert len(alone) == 874
    assert not used & alone
    assert used <= set(file["NEWID"])


@pytest.mark.parametrize("name", [n for n, c in tasks().items() if c.files])
def test_a_missing_file_is_named_with_where_it_comes_from(name: str, tmp_path: Path) -> None:
    chosen = task(name)
    for folder in (None, tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BenchmarkError, match=chosen.files[0]) as caught:
            chosen.problem(0, "split", folder)
        assert "--data DIR" in caught.value.remedy
        assert chosen.source in caught.value.remedy


@pytest.mark.parametrize("name", [n for n, c in tasks().items() if c.files and not n.startswith("scf")])
@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\x1f\x8b cut off"])
def test_a_file_that_is_another_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    chosen = task(name)
    (tmp_path / chosen.files[0]).write_bytes(content)
    with pytest.raises(BenchmarkError, match=chosen.files[0]) as caught:
        chosen.problem(0, "split", tmp_path)
    assert chosen.source in caught.value.remedy


def test_thin_keeps_whole_units() -> None:
    rng = np.random.default_rng(0)
    households = rng.integers(0, 4000, 9000)
    receives = divide(households, 0, "split", households.astype(float))
    keep = thin(households, receives, 0, most=2000)
    for side in (False, True):
        assert 1950 < (keep & (receives == side)).sum() <= 2000
    assert not set(households[keep]) & set(households[~keep])
    np.testing.assert_array_equal(keep, thin(households, receives, 0, most=2000))
    assert thin(households, receives, 0, most=9000).all()


def test_across_surveys_there_is_no_truth_but_published_figures(shared: Path) -> None:
    problem = made("scf_to_cps", "split", 0, shared / "data")
    fusion, other = problem.fusion, made("scf_to_cps", "split", 1, shared / "data").fusion
    assert problem.truth.shape == (0, len(fusion.targets))
    assert len(fusion.receiver) == 20_000
    assert not {*fusion.targets, *fusion.derived} & set(fusion.receiver.columns)
    assert not np.array_equal(fusion.receivers.values, other.receivers.values)
    drawn = np.zeros((2, 20_000, len(fusion.targets)))
    drawn[:, :5_000, fusion.targets.index("LIQ")] = 8.0
    found = margins(problem, drawn)
    assert found["columns"]["LIQ"]["imputed share"] == 0.25
    assert found["columns"]["NETWORTH"]["imputed mean"] == 2.0
    assert found["columns"]["NETWORTH"]["imputed median"] == 0.0
    for figure in found["published"].values():
        assert figure["donor"] == pytest.approx(figure["published"], rel=0.01)

"""auto: picks what suits the donors, refuses what fails, keeps households together, says what it found."""

import json

import numpy as np
import pandas as pd
import pytest

from microimpute import Fusion, Survey, impute
from microimpute.errors import MethodError
from microimpute.keyed import RowRandom, generator
from microimpute.kinds import Kind, Table, Variable
from microimpute.methods import auto
from microimpute.methods.auto import Auto
from microimpute.methods.base import Method, methods
from microimpute.methods.shuffle import Shuffle

ROWS = 600


def normal(rng):
    """Linear effects, normal residuals that two targets share: what a regression assumes."""
    x = rng.normal(size=(ROWS, 3))
    shared = rng.normal(size=ROWS)
    a = 1.5 * x[:, 0] + x[:, 1] - 0.5 * x[:, 2] + shared
    return x, np.column_stack([a, -x[:, 0] + x[:, 2] + 0.7 * shared + 0.5 * rng.normal(size=ROWS)])


def steps(rng):
    """Effects in steps, and which way they go depends on another predictor: what trees find."""
    x = rng.normal(size=(ROWS, 3))
    level = 4.0 * (x[:, 2] > 0.8) + np.where(x[:, 0] > -0.3, 3.0 * np.sign(x[:, 1]), 1.0)
    noise = rng.normal(size=(ROWS, 2)) * 0.4
    return x, np.column_stack([level, np.abs(level)]) + noise


def tables(x, y, households=None):
    def table(values, name):
        return Table(tuple(Variable(f"{name}{i}", Kind.CONTINUOUS) for i in range(values.shape[1])), values)

    X = table(x, "x")
    return Table(X.variables, X.values, households=households), table(y, "y")


def fitted(chosen, x, y, households=None, weight=None):
    X, Y = tables(x, y, households)
    return chosen.fit(X, Y, np.ones(len(x)) if weight is None else weight, generator(0, 1, "fit"))


def notes(chosen):
    return {row["method"]: row["note"] for row in chosen.learnt()["choice"]["candidates"]}


@pytest.mark.parametrize(("population", "best"), [(normal, "srmi"), (steps, "forest")])
def test_picks_what_suits_the_population(population, best):
    chosen = fitted(Auto(["srmi", "forest", "hotdeck"], draws=4), *population(np.random.default_rng(1)))
    assert list(chosen.choice.parts) == [best], chosen.learnt()
    table = chosen.learnt()["choice"]["candidates"]
    assert [row["note"] for row in table].count("chosen") == 1
    assert table[0]["method"] == best
    assert table[0]["mean"] == max(row["mean"] for row in table)


class Planted(Shuffle):
    """A base for planted candidates: registered for one test."""

    uses_predictors = True
    cost = 0.001


class Truth(Planted):
    """The sampler that `normal` draws its targets from."""

    name = "truth"

    def draw(self, X, rng):
        from scipy.stats import norm

        x = X.values
        shared, own = (norm.ppf(rng.uniform(s)) for s in ("shared", "own"))
        first = 1.5 * x[:, 0] + x[:, 1] - 0.5 * x[:, 2] + shared
        return np.column_stack([first, -x[:, 0] + x[:, 2] + 0.7 * shared + 0.5 * own])


class Copier(Planted):
    """Copies the donor with the nearest first predictor: seems perfect where that donor is of the same household."""

    name = "copier"

    def fit(self, X, Y, weight, rng):
        self.places = X.values[:, 0]
        return super().fit(X, Y, weight, rng)

    def draw(self, X, rng):
        return self.bundles[np.abs(X.values[:, :1] - self.places).argmin(axis=1)]


class Broken(Planted):
    """Falls over."""

    name = "broken"

    def draw(self, X, rng):
        raise ZeroDivisionError("planted")


class Breaks(Planted):
    """Draws missing values."""

    name = "breaks"

    def draw(self, X, rng):
        return np.full((len(X), len(self.targets)), np.nan)


@pytest.fixture
def known(monkeypatch):
    """Let auto know planted methods beside the real ones."""

    def add(*planted):
        everything = dict(methods()) | {p.name: p for p in planted}
        monkeypatch.setattr(auto, "methods", lambda: everything)
        monkeypatch.setattr(auto, "method", lambda name, settings=None: everything[name](**(settings or {})))

    return add


class Loud(Truth):
    """The truth of an exponential population."""

    name = "loud"

    def draw(self, X, rng):
        return np.exp(super().draw(X, rng) / 2)


def test_a_failed_family_is_a_veto(known):
    class Tailless(Loud):
        name = "tailless"

        def draw(self, X, rng):
            top = np.quantile(self.bundles, 0.9, axis=0)
            return np.minimum(super().draw(X, rng), top)

    class Vague(Loud):
        """Wrong in no family but of little skill: most of its draws ignore the predictors."""

        name = "vague"

        def draw(self, X, rng):
            ignores = rng.uniform("ignore") < 0.8
            return np.where(ignores[:, None], Shuffle.draw(self, X, rng), super().draw(X, rng))

    known(Tailless, Vague)
    x, y = normal(np.random.default_rng(3))
    chosen = fitted(Auto(["tailless", "vague"], draws=4, mixture=False), x, np.exp(y / 2))
    rows = {row["method"]: row for row in chosen.learnt()["choice"]["candidates"]}
    assert rows["tailless"]["mean"] > rows["vague"]["mean"]  # so that the mean alone would have chosen it
    assert rows["tailless"]["families"]["tails"] < 0 <= min(rows["vague"]["families"].values())
    assert list(chosen.choice.parts) == ["vague"]
    assert notes(chosen)["tailless"] == "vetoed: worse than ignoring the predictors in tails"


def test_households_stay_together(known):
    """Rows of a household are alike: a leak between folds makes a copier look perfect."""
    known(Copier)
    rng = np.random.default_rng(4)
    homes = np.repeat(np.arange(200), 3)
    x = np.repeat(rng.normal(size=(200, 2)), 3, axis=0) + rng.normal(size=(ROWS, 2)) * 1e-4
    y = np.repeat(rng.normal(size=(200, 2)) * 2, 3, axis=0) + x[:, :1]
    settings = {"candidates": ["copier", "srmi"], "draws": 4, "mixture": False}
    kept = fitted(Auto(**settings), x, y, households=homes.astype(np.uint64))
    leaky = fitted(Auto(**settings), x, y)
    assert list(leaky.choice.parts) == ["copier"]  # what the leak does, planted by hiding the households
    assert list(kept.choice.parts) == ["srmi"]
    assert kept.learnt()["choice"]["donor_households"] == 200


def test_a_mixture_is_not_used_where_one_method_is_the_truth(known):
    known(Truth)
    for seed in range(2):
        x, y = normal(np.random.default_rng(10 + seed))
        chosen = fitted(Auto(["truth", "forest", "hotdeck"], draws=4), x, y)
        assert list(chosen.choice.parts) == ["truth"], chosen.learnt()
        assert "mixture" not in notes(chosen)  # it is not better by more than noise, so it was not even judged


def test_a_mixture_is_used_where_each_method_is_right_for_half(known):
    """Each is sharp for one half of the rows and vague for the other, and which half is which can't be seen."""

    class Half(Planted):
        def draw(self, X, rng):
            from scipy.stats import norm

            up = np.array([self.sign * 3.0, 0.0])
            return X.values[:, :2] + up + norm.ppf(np.column_stack([rng.uniform("a"), rng.uniform("b")]))

    class Up(Half):
        name, sign = "up", 1.0

    class Down(Half):
        name, sign = "down", -1.0

    known(Up, Down)
    rng = np.random.default_rng(5)
    x = rng.normal(size=(ROWS, 2))
    y = x + np.column_stack([np.where(rng.random(ROWS) < 0.7, 3.0, -3.0), np.zeros(ROWS)]) + rng.normal(size=(ROWS, 2))
    chosen = fitted(Auto(["up", "down"], draws=4), x, y)
    shares = chosen.choice.parts
    assert shares["up"] == pytest.approx(0.7, abs=4 * np.sqrt(0.21 / ROWS))
    X = tables(rng.normal(size=(4000, 2)), np.zeros((4000, 2)))[0]
    drawn = chosen.draw(X, RowRandom(0, 1, np.arange(4000, dtype=np.uint64)))
    up = np.mean(drawn[:, 0] - X.values[:, 0] > 0)
    assert up == pytest.approx(shares["up"], abs=4 * np.sqrt(0.21 / 4000))  # each row from one of the two
    told = chosen.learnt()["choice"]["mixture"]
    assert told["gain"] > 2 * told["standard_error"] > 0
    alone = fitted(Auto(["up", "down"], draws=4, mixture=False), x, y)
    assert list(alone.choice.parts) == ["up"]


def test_a_mixture_comes_back_from_its_file(tmp_path):
    x, y = normal(np.random.default_rng(6))
    made = fitted(Auto(["srmi", "forest"], draws=2), x, y)
    made.choice = type(made.choice)({"srmi": 0.4, "forest": 0.6}, made.choice.said)
    made.parts = [fitted(methods()["srmi"](), x, y), fitted(methods()["forest"](tail=False), x, y)]
    made.save(tmp_path / "auto.safetensors")
    again = Method.load(tmp_path / "auto.safetensors")
    rng = RowRandom(0, 1, np.arange(ROWS, dtype=np.uint64))
    X = tables(x, y)[0]
    assert np.array_equal(again.draw(X, rng), made.draw(X, rng))
    assert again.learnt() == made.learnt()
    from_srmi = ~np.isin(made.draw(X, rng), y).all(axis=1)  # regressions draw what no donor has
    assert from_srmi.mean() == pytest.approx(0.4, abs=4 * np.sqrt(0.24 / ROWS))


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"parts": {}, "said": {}, "made": []}',
        '{"parts": {"auto": 1.0}, "said": {}, "made": [{"name": "auto", "settings": {}}]}',
        '{"parts": {"srmi": 2.0}, "said": {}, "made": [{"name": "srmi", "settings": {}}]}',
        '{"parts": {"srmi": 1.0}, "said": {}, "made": [{"name": "srmi", "settings": {"no": 1}}]}',
    ],
)
def test_a_damaged_choice_is_refused(text):
    made = fitted(Auto(["srmi"]), *normal(np.random.default_rng(7)))
    arrays = made.state() | {"choice": np.frombuffer(text.encode(), dtype=np.uint8)}
    again = Auto(["srmi"])
    again.predictors, again.targets = made.predictors, made.targets
    with pytest.raises(MethodError):
        again.set_state(arrays)


def surveys(seed=8, **about):
    x, y = normal(np.random.default_rng(seed))
    frame = pd.DataFrame(np.hstack([x, y]), columns=["a", "b", "c", "y1", "y2"]).assign(id=np.arange(ROWS))
    donor = Survey(frame, keys="id", **about)
    receiver = Survey(frame[["a", "b", "c"]].assign(id=np.arange(ROWS) + 9000).head(50), keys="id")
    return Fusion(donor, receiver, targets=["y1", "y2"], predictors=["a", "b", "c"])


def test_the_table_is_in_the_manifest_and_implicates_agree():
    fusion = surveys()
    settings = {"candidates": ["srmi", "forest"], "draws": 3}
    made = impute(fusion, method=Auto(**settings), m=3, seed=4)
    learnt = json.loads(json.dumps(made.manifest["method"]["learnt"]))
    assert len(learnt) == 3
    assert learnt[0] == learnt[1] == learnt[2]
    rows = {row["method"]: row for row in learnt[0]["choice"]["candidates"]}
    assert {"srmi", "forest"} <= set(rows)
    assert set(rows["srmi"]["families"]) <= {"conditional", "joint", "indistinguishability", "tails", "policy"}
    other = impute(fusion, method=Auto(**settings), m=1, seed=5).manifest["method"]["learnt"]
    assert other[0] == learnt[0]  # the choice is the donors', not the seed's
    assert not np.array_equal(made.numbers("y1")[0], made.numbers("y1")[1])


def test_one_cross_validation_for_all_implicates(monkeypatch):
    counted = []
    divide = auto.HeldOut.divide
    monkeypatch.setattr(auto.HeldOut, "divide", lambda *a: counted.append(1) or divide(*a))
    impute(surveys(), method=Auto(["srmi", "hotdeck"], draws=2), m=3)
    assert len(counted) == 1


def test_another_division_gives_other_figures():
    x, y = normal(np.random.default_rng(9))
    first, second = (fitted(Auto(["srmi", "hotdeck"], draws=3, division=d), x, y).learnt() for d in (0, 1))
    assert first != second


def test_faulty_candidates_are_rows_of_the_table(known):
    known(Broken, Breaks)
    x, y = normal(np.random.default_rng(11))
    told = notes(fitted(Auto(["broken", "breaks", "hotdeck"], draws=2), x, y))
    assert told["broken"] == "failed: ZeroDivisionError: planted"
    assert told["breaks"] == "draws are missing or infinite"
    assert told["hotdeck"] == "chosen"
    with pytest.raises(MethodError, match="none of auto's candidates works"):
        fitted(Auto(["broken", "breaks"], draws=2), x, y)


def test_the_budget_goes_by_declared_costs(known):
    class Slow(Truth):
        name = "slow"
        cost = 1e6

    known(Truth, Slow)
    x, y = normal(np.random.default_rng(12))
    told = notes(fitted(Auto(["slow", "truth", "hotdeck"], draws=2), x, y))
    assert "not tried" in told["slow"]
    free = notes(fitted(Auto(["slow", "truth", "hotdeck"], draws=2, budget=None), x, y))
    assert "not tried" not in free["slow"]
    with pytest.raises(MethodError, match="holds no candidate"):
        fitted(Auto(["slow", "hotdeck"], budget=1e-6), x, y)


def test_kinds_and_packages_that_are_lacking_are_named(known):
    class Needs(Truth):
        name = "needs"
        requires = ("no_such_package_here",)

    class Amounts(Truth):
        name = "amounts"
        kinds = frozenset({Kind.COUNT})

    known(Needs, Amounts)
    x, y = normal(np.random.default_rng(13))
    told = notes(fitted(Auto(["needs", "amounts", "hotdeck"], draws=2), x, y))
    assert told["needs"] == "needs no_such_package_here, which is not installed"
    assert told["amounts"] == "can't draw y0, y1"
    assert told["hotdeck"] == "chosen: the only candidate"
    with pytest.raises(MethodError, match="no candidate that can draw"):
        fitted(Auto(["needs", "amounts"]), x, y)


def test_by_default_candidates_promise_what_auto_promises():
    x, y = (part[:300] for part in normal(np.random.default_rng(14)))
    told = notes(fitted(Auto(draws=2, folds=2, households=60, budget=0.1), x, y))  # those too dear have a row, too
    promised = {
        n for n, c in methods().items() if c.valid and c.candidate and c.joint and c.uses_weights and c.uses_predictors
    }
    assert set(told) - {"mixture"} == promised
    assert "auto" not in promised
    assert not {"shuffle", "mean", "regression"} & promised


def test_too_few_households_take_the_cheapest_and_say_so():
    x, y = normal(np.random.default_rng(15))
    chosen = fitted(Auto(["srmi", "hotdeck"]), x, y, households=(np.arange(ROWS) % 20).astype(np.uint64))
    assert notes(chosen) == {
        "hotdeck": "chosen: the cheapest; 50 households are needed to compare",
        "srmi": "not compared",
    }


def test_weights_count_in_the_choice():
    """Two populations in one file: the weights say which of them the receivers are like."""
    rng = np.random.default_rng(16)
    (x1, y1), (x2, y2) = normal(rng), steps(rng)
    x, y = np.vstack([x1, x2]), np.vstack([y1, y2])
    x = np.column_stack([x, np.repeat([0.0, 1.0], ROWS)])
    one, two = (np.repeat(w, ROWS) for w in ([1.0, 1e-6], [1e-6, 1.0]))
    names = [next(iter(fitted(Auto(["srmi", "qrf"], draws=4), x, y, weight=w).choice.parts)) for w in (one, two)]
    assert names == ["srmi", "qrf"]


@pytest.mark.parametrize(
    "settings",
    [
        {"candidates": "srmi"},
        {"candidates": []},
        {"candidates": ["srmi", "srmi"]},
        {"candidates": ["no_such"]},
        {"candidates": ["auto"]},
        {"candidates": ["regression"]},
        {"budget": 0},
        {"budget": True},
        {"households": 10},
        {"folds": 1},
        {"draws": 1},
        {"division": -1},
        {"mixture": "yes"},
    ],
)
def test_bad_settings_are_refused(settings):
    with pytest.raises(MethodError) as error:
        Auto(**settings)
    assert next(iter(settings)).removesuffix("s") in str(error.value)

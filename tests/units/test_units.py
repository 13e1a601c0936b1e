"""Households' variables onto their members and back: rules, sums to the last bit, and who matches nobody."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from microimpute import Survey
from microimpute.errors import SurveyError
from microimpute.units import Adults, By, Equal, Link, gather, spread
from microimpute.units.splitting import split

HOMES = pd.DataFrame(
    {
        "hid": [10, 20, 30],
        "w": [100.0, 200.0, 300.0],
        "wealth": [100.0, -50.0, 0.1],
        "cars": [2, 0, 1],
        "tenure": ["own", "rent", "own"],
        "snap": [True, False, False],
    }
)
PEOPLE = pd.DataFrame(
    {
        "hid": [20, 10, 30, 10, 10, 20],
        "w": [200.0, 100.0, 300.0, 100.0, 100.0, 200.0],
        "age": [40, 50, 70, 45, 12, 17],
        "earn": [0.0, 30.0, 0.0, 10.0, 0.0, 0.0],
        "rel": [1, 1, 1, 2, 3, 3],
        "works": [False, True, False, True, False, False],
    }
)


def made(**options):
    households = Survey(HOMES, weight="w", keys="hid", kinds={"cars": "count"}, dollars=2019)
    members = Survey(PEOPLE, weight="w", household="hid")
    return Link(households, members, **{"on": "hid", "head": "rel", **options})


def values(survey, column):
    return survey.frame[column].to_list()


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ("head", [-50, 100, 0.1, 0, 0, 0]),
        ("equal", [-25, 100 / 3, 0.1, 100 / 3, 100 / 3, -25]),
        ("by earn", [-25, 75, 0.1, 25, 0, -25]),
        (By("earn", otherwise="head"), [-50, 75, 0.1, 25, 0, 0]),
        ("adults age", [-50, 50, 0.1, 50, 0, 0]),
        (Adults("age", at_least=60), [-25, 100 / 3, 0.1, 100 / 3, 100 / 3, -25]),
        ("copy", [-50, 100, 0.1, 100, 100, -50]),
    ],
)
def test_rules(rule, wanted):
    out = spread(made(), {"wealth": rule})
    np.testing.assert_allclose(values(out, "wealth"), wanted, rtol=1e-15)
    if rule != "copy":
        total = out.weights() @ out.numbers("wealth")
        assert total == pytest.approx(HOMES.w @ HOMES.wealth)


def test_where_a_rule_has_nothing_to_go_by_is_counted():
    assert (
        "wealth: 2 of 3 households have no earn; there all members have equal parts."
        in spread(made(), {"wealth": "by earn"}).notes
    )
    notes = spread(made(), {"wealth": Adults("age", 60, otherwise="head")}).notes
    assert "wealth: 2 of 3 households have no members of 60 or more years (age); there its head carries it." in notes
    assert any("do not add it up over members" in n for n in spread(made(), {"cars": "copy"}).notes)


def test_counts_classes_and_flags_are_copied_as_they_are():
    out = spread(made(), {"cars": "copy", "tenure": "copy", "snap": "copy"}, names={"tenure": "home"})
    assert values(out, "cars") == [0, 2, 1, 2, 2, 0]
    assert out.frame["cars"].dtype.is_integer()
    assert values(out, "home") == ["rent", "own", "own", "own", "own", "rent"]
    assert values(out, "snap") == [False, True, False, True, True, False]
    assert out.kinds["cars"] == "count"
    heads = spread(made(), {"tenure": "head"})
    assert [v if isinstance(v, str) else None for v in values(heads, "tenure")] == [
        "rent",
        "own",
        "own",
        None,
        None,
        None,
    ]
    for column in ("cars", "tenure", "snap"):
        with pytest.raises(SurveyError, match=rf"'{column}' is .* and can't be divided\. Use 'copy' or 'head'"):
            spread(made(), {column: "equal"})


def test_up():
    link = made()
    up = gather(
        link,
        {"earn": "sum", "age": "head", "works": "any", "rel": "count"},
        names={"age": "age_head", "rel": "persons"},
    )
    assert values(up, "earn") == [40.0, 0.0, 0.0]
    assert values(up, "age_head") == [50, 40, 70]
    assert values(up, "works") == [True, False, False]
    assert values(up, "persons") == [3, 2, 1]
    assert link.sizes.tolist() == [3, 2, 1]


def test_missing_values():
    people = PEOPLE.assign(earn=[np.nan, 30, 0, 10, 0, 0], works=pd.array([None, None, False, True, False, False]))
    people["flag"] = [np.nan, np.nan, 0.0, 1.0, 0.0, 0.0]
    up = gather(Link(Survey(HOMES), Survey(people), on="hid"), {"earn": "sum", "flag": "any", "rel": "count"})
    np.testing.assert_array_equal(up.numbers("earn"), [40, np.nan, 0])
    assert up.frame["flag"].is_null().to_list() == [False, True, False]
    assert values(up, "flag")[0] is True or values(up, "flag")[0] == 1
    homes = HOMES.assign(wealth=[np.nan, -50, 0.1])
    down = spread(Link(Survey(homes), Survey(PEOPLE), on="hid"), {"wealth": "equal"})
    np.testing.assert_array_equal(down.numbers("wealth"), [-25, np.nan, 0.1, np.nan, np.nan, -25])
    assert "wealth is missing for 1 households, and so for all their members." in down.notes


amounts = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e15, max_value=1e15)
share = st.one_of(st.just(0.0), st.floats(min_value=1e-9, max_value=1e9), st.integers(1, 5).map(float))


def running(parts):
    at = 0.0
    for part in parts:
        at += part
    return at


@settings(max_examples=300, deadline=None)
@given(amounts, st.lists(share, min_size=1, max_size=12))
@example(0.1, [1.0, 1.0, 1.0])
@example(-1e15, [1e9, 1e-9, 1e-9, 0.0])
@example(1.0, [1e-9, 1e9])
@example(1.1125369292536007e-308, [1e-9])  # times a share it would lose digits
def test_parts_add_up_to_the_last_bit(amount, shares):
    shares = np.array(shares)
    if not shares.any():
        shares[-1] = 1.0
    count = len(shares)
    parts = split(np.array([amount]), shares, np.zeros(count, dtype=np.int64), np.arange(count))
    assert running(parts) == running(parts[::-1]) == parts.sum() == math.fsum(parts) == amount  # not approximately
    assert (parts[shares == 0] == 0).all()
    assert (parts * amount >= 0).all()
    np.testing.assert_allclose(
        parts, amount * (shares / shares.sum()), rtol=0, atol=4 * count * np.spacing(abs(amount))
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(amounts, st.integers(1, 6)), min_size=1, max_size=8),
    st.sampled_from(["head", "equal", "by earn", "adults age"]),
    st.integers(0, 2**32 - 1),
)
def test_down_and_up_again_is_the_same_to_the_last_bit(homes, rule, seed):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"hid": rng.permutation(len(homes)), "wealth": [a for a, _ in homes]})
    people = pd.DataFrame({"hid": np.repeat(frame.hid.to_numpy(), [size for _, size in homes])})
    people["head"] = ~people.duplicated("hid")
    people = people.assign(earn=rng.choice([0.0, 1.0, 123.456, 1e7], len(people)), age=rng.integers(0, 90, len(people)))
    people = people.sample(frac=1, random_state=seed % 1000)
    down = spread(Link(Survey(frame), Survey(people), on="hid", head="head"), {"wealth": rule})
    up = gather(Link(Survey(frame.drop(columns="wealth")), down, on="hid"), {"wealth": "sum"})
    assert up.numbers("wealth").tolist() == frame.wealth.tolist()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(0, 2**32 - 1))
def test_up_and_down_again_keeps_members_shares(earned, seed):
    rng = np.random.default_rng(seed)
    people = pd.DataFrame({"hid": rng.integers(0, 5, len(earned)), "earn": np.array(earned, dtype=float)})
    homes = pd.DataFrame({"hid": np.unique(people.hid)})
    link = Link(Survey(homes), Survey(people), on="hid")
    up = gather(link, {"earn": "sum"}, names={"earn": "all"})
    down = spread(Link(up, Survey(people), on="hid"), {"all": "by earn"})
    np.testing.assert_allclose(down.numbers("all"), people.earn, rtol=1e-15, atol=1e-14)


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_other_frame_libraries(library):
    import pyarrow as pa

    to = pytest.importorskip("polars").from_pandas if library == "polars" else pa.Table.from_pandas
    link = Link(Survey(to(HOMES), weight="w"), Survey(to(PEOPLE), weight="w"), on="hid", head=("rel", 1))
    out = spread(link, {"wealth": "by earn", "tenure": "head", "snap": "copy"})
    assert values(out, "tenure") == ["rent", "own", "own", None, None, None]
    assert values(out, "wealth") == [-25.0, 75.0, 0.1, 25.0, 0.0, -25.0]
    assert values(gather(link, {"earn": "sum", "works": "any"}), "works") == [True, False, False]


def test_who_matches_nobody_is_counted():
    lost = PEOPLE.assign(hid=[20, 10, 99, 10, 10, 20])
    with pytest.raises(SurveyError, match=r"1 of 6 members have no household.*unmatched=0\.167"):
        Link(Survey(HOMES), Survey(lost), on="hid")
    with pytest.raises(SurveyError, match="1 of 3 households have no members"):
        Link(Survey(HOMES), Survey(lost), on="hid", unmatched=0.2)
    link = Link(Survey(HOMES, weight="w"), Survey(lost, weight="w"), on="hid", unmatched=0.34)
    assert "1 of 6 members have no household." in link.notes
    down = spread(link, {"wealth": Equal()})
    np.testing.assert_array_equal(down.numbers("wealth")[[2]], [np.nan])
    assert "wealth of 1 households without members is lost: 30, weighted." in down.notes
    up = gather(link, {"earn": "sum", "rel": "count", "works": "any"})
    assert (up.numbers("earn")[2], up.numbers("rel")[2], up.numbers("works")[2]) == (0, 0, 0)
    types = PEOPLE.assign(hid=PEOPLE.hid.astype(str))
    with pytest.raises(SurveyError, match=r"6 of 6 members have no household.*hid holds Int64, hid (String|Object)"):
        Link(Survey(HOMES), Survey(types), on="hid")


def test_keys():
    double = pd.concat([HOMES, HOMES.iloc[:1]])
    with pytest.raises(SurveyError, match=r"1 households have the key \(hid\) of another one.*implicate"):
        Link(Survey(double), Survey(PEOPLE), on="hid")
    with pytest.raises(SurveyError, match="household key column 'hi' is not in the table"):
        Link(Survey(HOMES), Survey(PEOPLE), on="hi")
    with pytest.raises(SurveyError, match="no key was named"):
        Link(Survey(HOMES), Survey(PEOPLE), on=[])
    gap = HOMES.assign(hid=[10, 20, np.nan])
    with pytest.raises(SurveyError, match="1 households have no key"):
        Link(Survey(gap), Survey(PEOPLE), on="hid")
    other = PEOPLE.rename(columns={"hid": "house"}).assign(year=1)
    homes = HOMES.assign(year=1)
    link = Link(Survey(homes), Survey(other), on={"year": "year", "hid": "house"})
    assert link.household.tolist() == [1, 0, 2, 0, 0, 1]
    assert link.place.tolist() == [0, 0, 0, 1, 2, 1]


def test_heads():
    with pytest.raises(SurveyError, match="nobody said who the head"):
        spread(made(head=None), {"wealth": "head"})
    with pytest.raises(SurveyError, match="1 households have no head and 1 have several"):
        spread(made(head=("rel", [2, 3])), {"wealth": "head"})
    first = spread(made(head="first"), {"wealth": "head"})
    assert values(first, "wealth") == [-50, 100, 0.1, 0, 0, 0]


def test_weights_of_both_sides():
    other = PEOPLE.assign(w=[200.0, 100.0, 300.0, 150.0, 100.0, 200.0])
    link = Link(Survey(HOMES, weight="w"), Survey(other, weight="w"), on="hid")
    assert any(n.startswith("1 of 6 members have another weight than their household") for n in link.notes)
    assert made().notes == []
    bad = PEOPLE.assign(w=[-200.0, 100.0, 300.0, 150.0, 100.0, 200.0])
    with pytest.raises(SurveyError, match="1 member weights are missing or negative"):
        Link(Survey(HOMES, weight="w"), Survey(bad, weight="w"), on="hid")


def test_dollars():
    with pytest.raises(SurveyError, match="households are in dollars of 2019, members of 2022"):
        Link(Survey(HOMES, dollars=2019), Survey(PEOPLE, dollars=2022), on="hid")


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda link: spread(link, {"welth": "equal"}), r"column 'welth' is not in the table.*'wealth'"),
        (lambda link: spread(link, {"wealth": "equall"}), r"rule for 'wealth' is 'equall'.*'equal'"),
        (lambda link: spread(link, {"wealth": "by"}), "rule for 'wealth' is 'by'"),
        (lambda link: spread(link, {"wealth": By("earn", "luck")}), "otherwise is 'luck'"),
        (lambda link: spread(link, {"wealth": "by ear"}), r"share column 'ear' is not in the table.*'earn'"),
        (lambda link: spread(link, {"w": "copy"}), "'w' is on both sides already"),
        (lambda link: gather(link, {"earn": "mean"}), "the way up for 'earn' is 'mean'"),
        (lambda link: gather(link, {"ear": "sum"}), "column 'ear' is not in the table"),
    ],
)
def test_bad_words(call, told):
    with pytest.raises(SurveyError, match=told):
        call(made())


def test_infinite_amounts():
    with pytest.raises(SurveyError, match="infinite in some rows"):
        spread(Link(Survey(HOMES.assign(wealth=np.inf)), Survey(PEOPLE), on="hid"), {"wealth": "equal"})

"""IPUMS CPS extracts: the real samples where they are at hand, made-up ones, and broken ones."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from microimpute.errors import SurveyError
from microimpute.kinds import Kind
from microimpute.survey import Survey
from microimpute.surveys.ipums_cps import IPUMSCPS

#: name, width, decimals, concept, label, text about codes, categories
VARIABLES = [
    ("YEAR", 4, 0, "HOUSEHOLD", "Survey year", "", {}),
    ("SERIAL", 5, 0, "HOUSEHOLD", "Household serial number", "", {}),
    ("ASECFLAG", 1, 0, "HOUSEHOLD", "Flag", "", {1: "ASEC", 2: "March Basic"}),
    ("ASECWTH", 10, 4, "HOUSEHOLD", "Household weight", "", {}),
    ("PERNUM", 2, 0, "PERSON", "Person number", "", {}),
    ("RELATE", 4, 0, "PERSON", "Relationship", "", {101: "Head/householder", 201: "Spouse", 301: "Child"}),
    ("ASECWT", 10, 4, "PERSON", "Person weight", "", {}),
    ("AGE", 2, 0, "PERSON", "Age", "", {a: str(a) for a in range(100)}),
    ("INCWAGE", 8, 0, "PERSON", "Wages", "Codes99999999 = N.I.U. (Not in universe).\n99999998 = Missing.", {}),
    ("INCINT", 7, 0, "PERSON", "Interest", "", {}),
    ("HOURWAGE", 5, 2, "PERSON", "Hourly wage", "Codes999.99 = NIU", {}),
]
#: One household of three (the householder is the second person), one of two with one March basic person apart.
ROWS = [
    (2016, 1, 1, 1500.25, 1, 201, 1500.25, 40, 99_999_999, 9_999_999, 999.99),
    (2016, 1, 1, 1500.25, 2, 101, 1500.5, 42, 50_000, 120, 12.5),
    (2016, 1, 1, 1500.25, 3, 301, 1600.75, 15, 99_999_998, 9_999_999, 999.99),
    (2016, 2, 1, 900.0, 1, 101, 900.0, 70, 0, 99_999, 20.0),
    (2016, 2, 2, 900.0, 2, 201, 0.0, 71, 1_000, 5, 8.25),
]
NAMES = [v[0] for v in VARIABLES]


def codebook(structure: str = "rectangular", variables: list[tuple] = VARIABLES, head: str = "") -> str:
    parts, start = [], 1
    for name, width, decimals, concept, label, text, categories in variables:
        catgry = "".join(f"<catgry><catValu>{c:02d}</catValu><labl>{w}</labl></catgry>" for c, w in categories.items())
        parts.append(
            f'<var ID="{name}" dcml="{decimals}" name="{name}"><location EndPos="{start + width - 1}" StartPos="{start}" '
            f'width="{width}"/><labl>{label}</labl>{catgry}<codInstr><![CDATA[{text}]]></codInstr>'
            f'<concept vocab="IPUMS">Some Variables -- {concept}</concept><varFormat type="numeric"/></var>'
        )
        start += width
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{head}<codeBook version="2.5" xmlns="ddi:codebook:2_5"><fileDscr><fileTxt>'
        f'<fileName>cps.dat</fileName><fileStrc type="{structure}"/></fileTxt></fileDscr><dataDscr>{"".join(parts)}</dataDscr></codeBook>'
    )


def fixed(rows: list[tuple] = ROWS) -> bytes:
    lines = []
    for row in rows:
        parts = [f"{round(v * 10**d):0{w}d}" for v, (_, w, d, *_) in zip(row, VARIABLES, strict=True)]
        lines.append("".join(parts))
    return ("\n".join(lines) + "\n").encode()


def csv(rows: list[tuple] = ROWS) -> bytes:
    return "\n".join([",".join(f'"{n}"' for n in NAMES), *(",".join(map(str, r)) for r in rows)]).encode() + b"\n"


def write(folder: Path, content: bytes, name: str = "cps_1.dat.gz", xml: str | None = None) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    (folder / "cps_1.xml").write_text(codebook() if xml is None else xml)
    return path


def read(path: Path, **options: object) -> Survey:
    return IPUMSCPS().read(path, **options)


def test_decimals_codes_and_design(tmp_path: Path) -> None:
    survey = read(write(tmp_path, fixed()))
    assert (survey.weight, survey.keys, survey.household) == (
        "ASECWT",
        ("YEAR", "SERIAL", "PERNUM"),
        ("YEAR", "SERIAL"),
    )
    assert (survey.dollars, survey.unit, len(survey)) == (2015, "person", 4)
    assert survey.weights().tolist() == [1500.25, 1500.5, 1600.75, 900.0]
    np.testing.assert_array_equal(survey.numbers("INCWAGE"), [np.nan, 50_000, np.nan, 0])
    np.testing.assert_array_equal(survey.numbers("HOURWAGE"), [np.nan, 12.5, np.nan, 20.0])
    # the codebook says nothing about INCINT: seven nines are a code, five are an amount
    np.testing.assert_array_equal(survey.numbers("INCINT"), [np.nan, 120, np.nan, 99_999])
    assert survey.kinds["INCWAGE"] is Kind.SEMICONTINUOUS
    assert survey.kinds["RELATE"] is Kind.CATEGORICAL
    assert "AGE" not in survey.kinds
    notes = " | ".join(survey.notes)
    assert "2 of 5 codes of INCWAGE (99999998, 99999999) set to missing" in notes
    assert "2 of 5 codes of HOURWAGE (9.9999, 999.99) set to missing" not in notes
    assert "2 of 5 codes of HOURWAGE (999.99) set to missing" in notes
    assert "1 persons of the March basic survey (ASECFLAG 2) left out" in notes
    assert "implied decimals resolved in ASECWTH, ASECWT, HOURWAGE" in notes


@pytest.mark.parametrize("name", ["cps_1.dat", "cps_1.csv", "cps_1.csv.gz"])
def test_every_form_gives_the_same(name: str, tmp_path: Path) -> None:
    one = read(write(tmp_path, fixed()))
    other = read(write(tmp_path, csv() if ".csv" in name else fixed(), name))
    for column in NAMES:
        np.testing.assert_array_equal(one.numbers(column), other.numbers(column), err_msg=column)
    assert one.row_keys().tolist() == other.row_keys().tolist()


def test_households(tmp_path: Path) -> None:
    survey = read(write(tmp_path, fixed()), unit="household")
    assert (survey.weight, survey.keys) == ("ASECWTH", ("YEAR", "SERIAL"))
    assert survey.numbers("AGE").tolist() == [42, 70]
    assert survey.numbers("INCWAGE").tolist() == [50_000, 0]
    assert survey.numbers("INCINT").tolist() == [120, 99_999]
    assert survey.numbers("PERSONS").tolist() == [3, 1]


def test_labels_instead_of_codes(tmp_path: Path) -> None:
    survey = read(write(tmp_path, fixed()), values="labels")
    assert survey.native["RELATE"].tolist() == ["Spouse", "Head/householder", "Child", "Head/householder"]
    assert survey.numbers("AGE").tolist() == [40, 42, 15, 70]


def test_replicate_weights(tmp_path: Path) -> None:
    more = [(f"REPWTP{i}", 9, 4, "PERSON", "Replicate", "", {}) for i in range(1, 161)]
    lines = fixed().decode().splitlines()
    content = "\n".join(line + "".join(f"{(n + i) * 5000:09d}" for i in range(160)) for n, line in enumerate(lines))
    survey = read(write(tmp_path, content.encode(), xml=codebook(variables=[*VARIABLES, *more])))
    assert survey.replicate_rule == "cps asec"
    assert survey.numbers("REPWTP3").tolist() == [1.0, 1.5, 2.0, 2.5]
    assert survey.replicated().replicates.shape == (4, 160)


def test_several_years_have_no_dollar_year(tmp_path: Path) -> None:
    later = [(2017, *row[1:]) for row in ROWS]
    survey = read(write(tmp_path, fixed([*ROWS, *later])))
    assert survey.dollars is None
    assert any("2 survey years: amounts are in dollars of each row's YEAR - 1" in note for note in survey.notes)
    assert len(np.unique(survey.household_keys())) == 4


def test_real_extracts(shared: Path) -> None:
    folder = shared / "data" / "ipums_samples"
    survey = read(folder / "cps_00160.dat.gz")
    assert (len(survey), survey.dollars) == (10_883, 2015)
    assert survey.weights()[0] == 3249.07
    assert int(np.isnan(survey.numbers("INCTOT")).sum()) == 2_689
    assert np.nanmax(survey.numbers("INCTOT")) < 9_999_999
    assert (survey.numbers("AGE")[np.isnan(survey.numbers("INCTOT"))] < 15).all()  # who is not in universe
    assert survey.labels["EDUC"] == "Educational attainment recode"
    assert len(read(folder / "cps_00097.dat.gz")) == 20_351


def test_one_real_extract_in_both_forms(shared: Path) -> None:
    folder = shared / "data" / "ipums_samples"
    dat, csv_form = read(folder / "cps_00157.dat.gz"), read(folder / "cps_00158.csv.gz")
    assert dat.columns == csv_form.columns
    assert len(dat) == 7_668
    for column in dat.columns:
        np.testing.assert_array_equal(dat.numbers(column), csv_form.numbers(column), err_msg=column)


def test_missing_codebook(tmp_path: Path) -> None:
    path = write(tmp_path, fixed())
    (tmp_path / "cps_1.xml").rename(tmp_path / "other.xml")
    with pytest.raises(SurveyError, match=r"there is no codebook cps_1\.xml beside the data"):
        read(path)
    assert len(read(path, ddi=tmp_path / "other.xml")) == 4


def test_hierarchical_extract(tmp_path: Path) -> None:
    with pytest.raises(SurveyError, match="only rectangular extracts are read"):
        read(write(tmp_path, fixed(), xml=codebook("hierarchical")))


def test_data_cut_off_or_of_another_extract(tmp_path: Path) -> None:
    with pytest.raises(SurveyError, match="1 of 5 lines don't have the codebook's 58 characters"):
        read(write(tmp_path, fixed()[:-20]))
    cut = write(tmp_path, fixed())
    cut.write_bytes(cut.read_bytes()[:-12])
    with pytest.raises(SurveyError, match=r"cps_1\.dat\.gz can't be unpacked"):
        read(cut)
    swapped = [VARIABLES[8], *VARIABLES[1:8], VARIABLES[0], *VARIABLES[9:]]
    with pytest.raises(SurveyError, match="YEAR goes from"):
        read(write(tmp_path, fixed(), xml=codebook(variables=swapped)))


def test_csv_with_a_renamed_column(tmp_path: Path) -> None:
    with pytest.raises(SurveyError, match=r"it has no column INCWAGE\. Did you mean 'INCWAGES'"):
        read(write(tmp_path, csv().replace(b"INCWAGE", b"INCWAGES"), "cps_1.csv"))


def test_web_pages(tmp_path: Path) -> None:
    with pytest.raises(SurveyError, match="web page"):
        read(write(tmp_path, b"<!DOCTYPE html><html>log in</html>\n", "cps_1.dat"))
    with pytest.raises(SurveyError, match="declares a document type"):
        read(write(tmp_path, fixed(), xml="<!DOCTYPE html><html></html>"))


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("<codeBook>", "can't be read as XML"),
        ("<codeBook></codeBook>", "is no DDI codebook"),
        (codebook(head='<!DOCTYPE x [<!ENTITY a "aaaa">]>'), "declares a document type or entities"),
        (codebook().replace('StartPos="1"', 'StartPos=""'), "YEAR has no place"),
        (codebook().replace('dcml="4"', 'dcml="40"', 1), "ASECWTH can't stand at"),
    ],
)
def test_codebooks_that_are_none(xml: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SurveyError, match=message):
        read(write(tmp_path, fixed(), xml=xml))


def test_options_and_weights(tmp_path: Path) -> None:
    path = write(tmp_path, fixed())
    with pytest.raises(SurveyError, match="Choose person or household"):
        read(path, unit="family")
    unweighted = codebook().replace("ASECWT", "OTHERWT")
    with pytest.raises(SurveyError, match="has no weight of persons"):
        read(write(tmp_path, fixed(), xml=unweighted))

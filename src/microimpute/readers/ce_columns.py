"""Columns that the Consumer Expenditure connectors give: characteristics by their native names, and spending."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from microimpute.kinds import Kind
from microimpute.readers.ucc import CATEGORIES

__all__ = [
    "CHARACTERISTICS",
    "DESIGN_LABELS",
    "MONEY",
    "PUBLISHED",
    "REPLICATES",
    "SPENDING",
    "SUMMARY",
    "SUMMARY_TOTAL",
    "TABLES",
    "WEIGHT",
    "kinds_of",
    "labels_of",
]

#: Weight of a row, and replicate weights made the same way.
WEIGHT = "WEIGHT"
REPLICATES = tuple(f"WTREP{i:02d}" for i in range(1, 45))

#: The file of the package rpms describes one member without saying which; it is not always the reference person.
_MEMBER = "of one member, most often the one who earns most (file of the package rpms)"

#: Characteristic of the consumer unit (native FMLI name) → kind, meaning.
CHARACTERISTICS: Mapping[str, tuple[Kind, str]] = {
    "AGE_REF": (Kind.CONTINUOUS, "age of the reference person, years"),
    "SEX_REF": (Kind.BINARY, "sex of the reference person: 1 male, 2 female"),
    "EDUC_REF": (
        Kind.ORDINAL,
        "education of the reference person: 0 none, 10 grades 1-8, 11 grades 9-12 without degree, 12 high school, "
        "13 some college, 14 associate's, 15 bachelor's, 16 master's and above",
    ),
    "HIGH_EDU": (Kind.ORDINAL, "highest education in the consumer unit, codes as EDUC_REF"),
    "REF_RACE": (
        Kind.CATEGORICAL,
        "race of the reference person: 1 White, 2 Black, 3 Native American, 4 Asian, 5 Pacific Islander, 6 several",
    ),
    "HISP_REF": (Kind.BINARY, "reference person is Hispanic: 1 yes, 2 no"),
    "MARITAL1": (
        Kind.CATEGORICAL,
        "marital status of the reference person: 1 married, 2 widowed, 3 divorced, 4 separated, 5 never married",
    ),
    "FAM_SIZE": (Kind.COUNT, "persons in the consumer unit"),
    "FAM_TYPE": (
        Kind.CATEGORICAL,
        "1 couple only, 2-4 couple with own children by age of the oldest, 5 other couples, 6 one male parent, "
        "7 one female parent, 8 single persons, 9 others",
    ),
    "PERSLT18": (Kind.COUNT, "children below 18"),
    "PERSOT64": (Kind.COUNT, "persons of 65 and over"),
    "NO_EARNR": (Kind.COUNT, "earners"),
    "CUTENURE": (
        Kind.CATEGORICAL,
        "tenure: 1 owner with mortgage, 2 owner without, 3 owner, mortgage not reported, 4 renter, 5 no cash rent, "
        "6 student housing",
    ),
    "REGION": (Kind.CATEGORICAL, "1 Northeast, 2 Midwest, 3 South, 4 West; missing where suppressed"),
    "STATE": (Kind.CATEGORICAL, "FIPS code of the state; missing where suppressed"),
    "BLS_URBN": (Kind.BINARY, "1 urban, 2 rural"),
    "POPSIZE": (Kind.ORDINAL, "size of the primary sampling unit's population, 1 the largest"),
    "VEHQ": (Kind.COUNT, "owned vehicles"),
    "ROOMSQ": (Kind.COUNT, "rooms"),
    "BEDROOMQ": (Kind.COUNT, "bedrooms"),
    "FINCBTAX": (
        Kind.SEMICONTINUOUS,
        "income before taxes of the last 12 months, dollars, as collected: what was not answered counts as 0",
    ),
    "FINCBTXM": (
        Kind.SEMICONTINUOUS,
        "income before taxes of the last 12 months, dollars, imputed where not answered (mean of five implicates)",
    ),
    "FINCATAX": (Kind.SEMICONTINUOUS, "income after taxes of the last 12 months, dollars, as collected"),
    "FINATXEM": (Kind.SEMICONTINUOUS, "income after estimated taxes of the last 12 months, dollars, imputed"),
    "TOTXEST": (Kind.SEMICONTINUOUS, "estimated taxes of the last 12 months, dollars"),
    "FSALARYX": (Kind.SEMICONTINUOUS, "wages and salaries of all members in the last 12 months, dollars, as collected"),
    "FSALARYM": (Kind.SEMICONTINUOUS, "wages and salaries of all members in the last 12 months, dollars, imputed"),
    "FRRETIRX": (Kind.SEMICONTINUOUS, "Social Security and railroad retirement income, dollars a year, as collected"),
    "FRRETIRM": (Kind.SEMICONTINUOUS, "Social Security and railroad retirement income, dollars a year, imputed"),
    "FSMPFRXM": (Kind.SEMICONTINUOUS, "self-employment income of all members, dollars a year, imputed"),
    "FSSIXM": (Kind.SEMICONTINUOUS, "Supplemental Security Income of all members, dollars a year, imputed"),
    "RETSURVM": (Kind.SEMICONTINUOUS, "retirement, survivor and disability pensions, dollars a year, imputed"),
    "INTRDVXM": (Kind.SEMICONTINUOUS, "interest and dividends, dollars a year, imputed"),
    "ROYESTXM": (Kind.SEMICONTINUOUS, "royalties, estates and trusts, dollars a year, imputed"),
    "NETRENTM": (Kind.SEMICONTINUOUS, "net rents, dollars a year, imputed"),
    "WELFAREM": (Kind.SEMICONTINUOUS, "public assistance, dollars a year, imputed"),
    "JFS_AMTM": (Kind.SEMICONTINUOUS, "food stamps (SNAP), dollars a year, imputed"),
    "OTHREGXM": (
        Kind.SEMICONTINUOUS,
        "veterans' payments, unemployment and workers' compensation, regular support, dollars a year, imputed",
    ),
    "OTHRINCM": (Kind.SEMICONTINUOUS, "other money income, dollars a year, imputed"),
    "LIQUIDX": (
        Kind.SEMICONTINUOUS,
        "checking, savings, money market accounts and certificates, dollars; asked in the last interview alone",
    ),
    "IRAX": (Kind.SEMICONTINUOUS, "retirement accounts, dollars; asked in the last interview alone"),
    "STOCKX": (Kind.SEMICONTINUOUS, "stocks, bonds, mutual funds, dollars, of those who have them; last interview"),
    "STUDNTX": (Kind.SEMICONTINUOUS, "student loans owed, dollars, of those who owe; last interview"),
    "AGE": (Kind.CONTINUOUS, f"age, years, {_MEMBER}"),
    "EDUCA": (
        Kind.ORDINAL,
        "education: 1 none, 2 grades 1-8, 3 grades 9-12 without degree, 4 high school, 5 some college, 6 associate's, "
        f"7 bachelor's, 8 master's and above, {_MEMBER}",
    ),
    "SEX": (Kind.BINARY, f"sex, F or M, {_MEMBER}"),
    "MARITAL": (Kind.CATEGORICAL, f"marital status, codes as MARITAL1, {_MEMBER}"),
    "MEMBRACE": (Kind.CATEGORICAL, f"race, codes as REF_RACE, {_MEMBER}"),
    "HORIGIN": (Kind.BINARY, f"Hispanic, Y or N, {_MEMBER}"),
    "EARNER": (Kind.BINARY, f"earner, Y or N, {_MEMBER}"),
    "SALARYX": (Kind.SEMICONTINUOUS, f"wages and salary of the last 12 months, dollars, of earners, {_MEMBER}"),
    "SOCRRX": (Kind.SEMICONTINUOUS, f"Social Security and railroad retirement income, dollars a year, {_MEMBER}"),
}
#: Characteristics in dollars.
MONEY = (
    *("FINCBTAX", "FINCBTXM", "FINCATAX", "FINATXEM", "TOTXEST", "FSALARYX", "FSALARYM", "FRRETIRX", "FRRETIRM"),
    *("FSMPFRXM", "FSSIXM", "RETSURVM", "INTRDVXM", "ROYESTXM", "NETRENTM", "WELFAREM", "JFS_AMTM", "OTHREGXM"),
    *("OTHRINCM", "LIQUIDX", "IRAX", "STOCKX", "STUDNTX", "SALARYX", "SOCRRX"),
)

#: Spending column → meaning; dollars a year.
SPENDING: Mapping[str, str] = {
    "total": "total expenditures",
    **CATEGORIES,
    "unallocated": "what total expenditures of the family file hold beyond the categories",
    "food": "food at home and away",
    "housing_outlays": "housing outlays: housing as spent, with mortgage principal (EHOUSNG)",
    "health": "health care",
    "footwear": "footwear",
    "other": "total expenditures less the parts beside it; housing counts outlays, so it can be negative",
}

#: Category → summary variables of the family file that add up to it (a minus before what is taken off), without the
#: ending PQ or CQ. MISCX4 and TOTEX4 count what is asked in the last interview alone four times, as the groupings do;
#: student loan interest is in them, and in the groupings under education. Food in all was renamed in 2024.
SUMMARY: Mapping[str, tuple[str, ...]] = {
    "food_home": ("FDHOME",),
    "food_away": ("FDAWAY",),
    "alcohol": ("ALCBEV",),
    "housing_owned": ("OWNDWE",),
    "housing_rented": ("RENDWE",),
    "housing_other": ("OTHLOD",),
    "natural_gas": ("NTLGAS",),
    "electricity": ("ELCTRC",),
    "other_fuels": ("ALLFUL",),
    "telephone": ("TELEPH",),
    "water": ("WATRPS",),
    "household_operations": ("HOUSOP", "-BBYDAY"),
    "furnishings": ("HOUSEQ",),
    "apparel": ("APPAR",),
    "vehicle_purchases": ("CARTKN", "CARTKU", "OTHVEH"),
    "gasoline": ("GASMO",),
    "vehicle_other": ("VEHFIN", "MAINRP", "VEHINS", "VRNTLO"),
    "public_transport": ("PUBTRA",),
    "health_insurance": ("HLTHIN",),
    "medical_services": ("MEDSRV",),
    "drugs": ("PREDRG",),
    "medical_supplies": ("MEDSUP",),
    "entertainment": ("ENTERT",),
    "personal_care": ("PERSCA",),
    "reading": ("READ",),
    "education": ("EDUCA",),
    "childcare": ("BBYDAY",),
    "tobacco": ("TOBACC",),
    "miscellaneous": ("MISCX4",),
    "cash_contributions": ("CASHCO",),
    "insurance_pensions": ("PERINS",),
}
#: Total of the summary variables, likewise.
SUMMARY_TOTAL = "TOTEX4"

DESIGN_LABELS: Mapping[str, str] = {
    "NEWID": "consumer unit and interview number (last digit)",
    "CUID": "consumer unit, NEWID // 10",
    "INTERVIEW": "interview number, NEWID % 10",
    "YEAR": "year of the interview",
    "QINTRVMO": "month of the interview",
    "FINLWT21": "weight of the interview as published; each quarter's add up to one population",
    "months": "months of spending in scope",
    WEIGHT: "weight: all rows together add up to the number of consumer units",
    **dict.fromkeys(REPLICATES, "half-sample replicate of the weight"),
    "IMPLICATE": "the survey's own implicate of income",
    "FINCBTX": "income before taxes of the last 12 months, dollars, of this implicate",
}

#: Year → number of consumer units in thousands, mean total expenditures, mean income before taxes: integrated tables.
PUBLISHED: Mapping[int, tuple[int, int, int]] = {
    2013: (125_670, 51_100, 63_784),
    2014: (127_006, 53_495, 66_877),
    2015: (128_437, 55_978, 69_627),
    2016: (129_549, 57_311, 74_664),
    2017: (130_001, 60_060, 73_573),
    2018: (131_439, 61_224, 78_635),
    2019: (132_242, 63_036, 82_852),
    2020: (131_234, 61_334, 84_352),
    2021: (133_595, 66_928, 87_432),
    2022: (134_090, 72_967, 94_003),
    2023: (134_556, 77_280, 101_805),
}
TABLES = "Bureau of Labor Statistics, Consumer Expenditures, table 1202 or 1203 of the year (Interview and Diary)"


def kinds_of(columns: Iterable[str]) -> dict[str, Kind]:
    """Return the kinds of those columns whose kind is certain."""
    kinds = {name: kind for name, (kind, _) in CHARACTERISTICS.items()}
    kinds |= dict.fromkeys((*SPENDING, "FINCBTX"), Kind.SEMICONTINUOUS)
    return {c: kinds[c] for c in columns if c in kinds}


def labels_of(columns: Iterable[str]) -> dict[str, str]:
    """Return what columns mean."""
    labels = {name: label for name, (_, label) in CHARACTERISTICS.items()}
    labels |= {name: f"{label}, dollars a year" for name, label in SPENDING.items()}
    labels |= dict(DESIGN_LABELS)
    return {c: labels[c] for c in columns if c in labels}

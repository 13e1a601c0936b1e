"""Make src/microimpute/data/ce_ucc.csv from the Bureau of Labor Statistics' groupings and dictionary.

    python scripts/make_ucc_table.py <folder with CE-HG-*.txt> <ce-pumd-interview-diary-dictionary.xlsx>

Groupings decide, the newest year first. Codes that the dictionary has for any of their years and no grouping of
spending holds are no part of total expenditures as published (trade-in allowances, principal, parts of vehicle outlays
...); codes that ended before the oldest grouping or came after the newest stay unknown, so that readers list them.
`DIARY` is by hand: codes of the Diary for which no grouping is at hand, placed by their titles in the dictionary.
"""

from __future__ import annotations

import csv
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from microimpute.readers.ucc import CATEGORIES, category_of, read_grouping

TARGET = Path(__file__).parents[1] / "src" / "microimpute" / "data" / "ce_ucc.csv"
OLDEST, NEWEST = 2013, 2022
#: Category → codes of the Diary alone.
DIARY = {
    "food_away": "190215 190216 190912 190921 190922",
    "housing_owned": "009900 220110 220120 220210 230000 230110 230900 240110 240120 240210 240220 240310 240320 "
    "320610 320627 320630 999000",
    "natural_gas": "260210",
    "electricity": "260110",
    "other_fuels": "250110 250210 250220 250900",
    "telephone": "270000",
    "water": "270210 270410 270900",
    "furnishings": "300110 300218 300310 300320 300410 320110",
    "vehicle_other": "490315",
    "public_transport": "530903",
    "health_insurance": "580000",
    "medical_services": "570000",
    "entertainment": "310241 310242 310351 310352 310900 600120 600130 600900 620510 620610 620710 620810 620915",
    "personal_care": "650110 650210",
    "education": "660900",
    "miscellaneous": "001400",
    "cash_contributions": "004000 004100 004190 005000",
    "insurance_pensions": "002100 002200",
    "": "001000 001100 001200 002000 009000 220000 220400 220610 999900",
}
FIELDS = ("ucc", "category", "factor", "known_from", "title")


def main(folder: Path, dictionary: Path) -> None:
    """Write the table."""
    table = {row["ucc"]: row for row in (*_of_dictionary(dictionary), *_of_groupings(folder))}
    rows = [table[ucc] for ucc in sorted(table)]
    with TARGET.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    counts = {c or "no spending": sum(r["category"] == c for r in rows) for c in (*CATEGORIES, "")}
    print(f"{TARGET.name}: {len(rows):,} codes; {counts}")


def _of_groupings(folder: Path) -> Iterator[dict[str, str]]:
    files = sorted(folder.glob("CE-HG-*.txt"), key=lambda p: (p.stem[-4:], p.stem))
    if not files:
        sys.exit(f"no CE-HG-*.txt in {folder}")
    spending: set[int] = set()
    for path in files:
        items = read_grouping(path)
        spending |= {item.ucc for item in items if item.spending}
    for path in files:  # newest last
        for item in read_grouping(path):
            if item.spending or item.ucc not in spending:
                yield _row(item.ucc, category_of(item), abs(item.factor), path.stem, item.title)


def _of_dictionary(path: Path) -> Iterator[dict[str, str]]:
    by_hand = {int(ucc): category for category, many in DIARY.items() for ucc in many.split()}
    for row in _sheet(path, "sheet3"):
        survey, file, variable, code, title, first, _, last, *_ = [*row, *[""] * 8]
        if variable != "UCC" or file not in ("MTBI", "EXPD") or not re.fullmatch(r"\d{6}", code):
            continue
        ucc = int(code)
        if ucc in by_hand and survey == "DIARY":
            yield _row(ucc, by_hand[ucc], 1, "by hand", title)
        elif file == "MTBI" and int(first or 0) <= NEWEST and int(last or NEWEST) >= OLDEST and ucc not in by_hand:
            yield _row(ucc, "", 1, "dictionary", title)


def _row(ucc: int, category: str, factor: int, source: str, title: str) -> dict[str, str]:
    words = " ".join(title.split())
    return dict(zip(FIELDS, (f"{ucc:06d}", category, str(factor), source, words[:70].rstrip()), strict=True))


def _sheet(path: Path, name: str) -> Iterator[list[str]]:
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    with zipfile.ZipFile(path) as book:
        strings = ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
        texts = ["".join(t.text or "" for t in entry.iter(f"{space}t")) for entry in strings.iter(f"{space}si")]
        for row in ElementTree.fromstring(book.read(f"xl/worksheets/{name}.xml")).iter(f"{space}row"):
            cells = [(cell, cell.find(f"{space}v")) for cell in row]
            yield [
                "" if value is None else texts[int(value.text or 0)] if cell.get("t") == "s" else value.text or ""
                for cell, value in cells
            ]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

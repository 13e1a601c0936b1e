"""IPUMS's codebooks (DDI Codebook 2.5): where each column stands, its decimals, labels, and codes for no answer.

Parsed with the standard library. A document type or entity declaration is refused before parsing, so that none can be
expanded; nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

from microimpute.errors import SurveyError, first_line
from microimpute.readers.fixed_width import Field

__all__ = ["Codebook", "Column", "read_ddi"]

#: Largest codebook that is read, in bytes; IPUMS's are below 5 MB.
LARGEST = 64 << 20

#: "99999999 = N.I.U.", "9999998 = Missing", "999.99 = NIU (Not in universe)".
_NO_ANSWER = re.compile(r"(?<![\d.,])(9{3,}[0-9]?(?:\.\d+)?)\s*=\s*(N\.?I\.?U|Not in universe|Missing|Unknown)", re.I)


@dataclass(frozen=True)
class Column:
    """One variable of a codebook.

    Attributes
    ----------
    field
        Its place, width and implied decimals.
    label
        What it is.
    categories
        Code → words; empty for amounts.
    no_answer
        Values, decimals resolved, that stand for not in universe or missing, as the codebook's text says.
    of_person
        Whether it describes a person, not the household.
    numeric
        Whether it holds numbers.
    """

    field: Field
    label: str
    categories: dict[int, str]
    no_answer: tuple[float, ...]
    of_person: bool
    numeric: bool


@dataclass(frozen=True)
class Codebook:
    """A codebook.

    Attributes
    ----------
    file
        Name of the data file that it describes.
    structure
        "rectangular" or "hierarchical".
    columns
        Upper-case name → column, in order.
    """

    file: str
    structure: str
    columns: dict[str, Column]


def read_ddi(path: Path) -> Codebook:
    """Read a codebook.

    Raises
    ------
    SurveyError
        If it is missing, too large, no XML, declares a document type or entities, or is no DDI codebook with places.
    """
    if not path.is_file():
        raise SurveyError(
            f"there is no codebook {path.name} beside the data", "Get the extract's DDI codebook (.xml), or give ddi=."
        )
    if path.stat().st_size > LARGEST:
        raise SurveyError(f"{path.name} has more than {LARGEST >> 20} MB", "Give the extract's DDI codebook (.xml).")
    content = path.read_bytes()
    _refuse_declarations(path, content)
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise _no_xml(path, error) from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]  # names without their namespace
    structure = root.find(".//fileStrc")
    columns = {c.field.name: c for c in _columns(path, root)}
    if root.tag != "codeBook" or structure is None or not columns:
        raise SurveyError(f"{path.name} is no DDI codebook of an extract", "Give the .xml that comes with the data.")
    return Codebook(root.findtext(".//fileName", ""), structure.get("type", ""), columns)


def _refuse_declarations(path: Path, content: bytes) -> None:
    parser = expat.ParserCreate()

    def refuse(*_: object) -> None:
        raise SurveyError(
            f"{path.name} declares a document type or entities, as no codebook does", "Get the codebook again."
        )

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise _no_xml(path, error) from None


def _no_xml(path: Path, error: Exception) -> SurveyError:
    return SurveyError(
        f"{path.name} can't be read as XML: {first_line(error)}", "Get the codebook again; it may be cut off."
    )


def _columns(path: Path, root: ElementTree.Element) -> Iterator[Column]:
    for var in root.iter("var"):
        name = (var.get("name") or var.get("ID") or "").upper()
        place = var.find("location")
        try:
            assert place is not None
            start, end = int(place.get("StartPos", "")), int(place.get("EndPos", ""))
            field = Field(name, start, end - start + 1, int(var.get("dcml") or 0))
        except (ValueError, AssertionError):
            raise SurveyError(f"{path.name}: {name or 'a variable'} has no place", "Get the codebook again.") from None
        if field.start < 1 or field.width < 1 or not 0 <= field.decimals <= field.width:
            raise SurveyError(f"{path.name}: {name} can't stand at {start} to {end}", "Get the codebook again.")
        form = var.find("varFormat")
        yield Column(
            field=field,
            label=(var.findtext("labl") or name).strip(),
            categories=_categories(var),
            no_answer=_no_answer(var, field.decimals),
            of_person="PERSON" in (var.findtext("concept") or "").upper(),
            numeric=form is None or form.get("type") != "character",
        )


def _categories(var: ElementTree.Element) -> dict[int, str]:
    found = {}
    for category in var.iter("catgry"):
        value = (category.findtext("catValu") or "").strip()
        if re.fullmatch(r"-?\d{1,15}", value):
            found[int(value)] = (category.findtext("labl") or value).strip()
    return found


def _no_answer(var: ElementTree.Element, decimals: int) -> tuple[float, ...]:
    text = " ".join(filter(None, (var.findtext("codInstr"), var.findtext("txt"))))
    found = set()
    for code, _ in _NO_ANSWER.findall(text.removeprefix("Codes")):
        found.add(float(code))
        if decimals and "." not in code:
            found.add(float(code) / 10**decimals)
    return tuple(sorted(found))

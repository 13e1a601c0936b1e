"""How numbers are written in the report."""

from __future__ import annotations

from microimpute.margins import format_number

__all__ = ["amount", "count", "percent", "signed"]


def amount(value: float | None, money: bool = False) -> str:
    """Write an amount: ``$121,800``, ``−$3,200``, ``$1.25M``; without the dollar sign unless it is money."""
    if value is None or not money:
        return format_number(value)
    size = abs(value)
    if size < 10_000:
        text = f"{size:,.0f}"
    elif size < 999_500:  # the hundreds of a median are worth reading
        text = f"{float(f'{size:.4g}'):,.0f}"
    else:
        text = format_number(size)
    return f"{'−' if value < 0 and text != '0' else ''}${text}"


def percent(share: float | None) -> str:
    """Write a share as ``12.3%``."""
    if share is None:
        return "–"
    if 0 < share < 0.0005:
        return "<0.1%"
    if 0.9995 <= share < 1:
        return ">99.9%"
    return "100%" if share == 1 else "0%" if share == 0 else f"{share:.1%}"


def signed(value: float | None, digits: int = 2) -> str:
    """Write a difference with its sign: ``+0.03``, ``−0.10``, ``0.00``."""
    if value is None:
        return "–"
    text = f"{abs(value):.{digits}f}"
    if not float(text):
        return text
    return ("+" if value > 0 else "−") + text


def count(value: float | None) -> str:
    """Write a whole number: ``28,885``."""
    return "–" if value is None else f"{value:,.0f}"

"""Settings of neural methods, checked without torch."""

from __future__ import annotations

from microimpute.errors import MethodError

__all__ = ["check_device", "choice", "positive", "share", "whole"]


def whole(method: str, **settings: int) -> None:
    """Refuse a setting that is not a whole number of at least 1.

    Raises
    ------
    MethodError
        Names the method and the setting.
    """
    for name, number in settings.items():
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise MethodError(f"{method}'s {name} is {number!r}", "Give a whole number of at least 1.")


def share(method: str, **settings: float) -> None:
    """Refuse a setting that is not a share from 0 to below 1.

    Raises
    ------
    MethodError
        Names the method and the setting.
    """
    for name, part in settings.items():
        if not isinstance(part, int | float) or isinstance(part, bool) or not 0 <= part < 1:
            raise MethodError(f"{method}'s {name} is {part!r}", "Give a share from 0 to below 1.")


def positive(method: str, **settings: float) -> None:
    """Refuse a setting that is not a finite number above 0.

    Raises
    ------
    MethodError
        Names the method and the setting.
    """
    for name, number in settings.items():
        if not isinstance(number, int | float) or isinstance(number, bool) or not 0 < number < float("inf"):
            raise MethodError(f"{method}'s {name} is {number!r}", "Give a number above 0.")


def choice(method: str, options: tuple[str, ...], **settings: str) -> None:
    """Refuse a setting that is none of the options.

    Raises
    ------
    MethodError
        Names the method, the setting and the options.
    """
    for name, chosen in settings.items():
        if chosen not in options:
            raise MethodError(f"{method}'s {name} is {chosen!r}", f"Give {' or '.join(map(repr, options))}.")


def check_device(method: str, device: str) -> None:
    """Refuse a device that is no text; whether this machine has it is seen when it is used.

    Raises
    ------
    MethodError
        Names the method.
    """
    if not isinstance(device, str) or not device:
        raise MethodError(f"{method}'s device is {device!r}", 'Give "cpu", "cuda" or "auto".')

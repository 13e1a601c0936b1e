"""Methods with settings on a command line: ``forest``, ``qrf:tail=true,leaf=5``."""

import json
from typing import Any


def parsed(said: str) -> tuple[str, dict[str, Any]]:
    """Return a method's name and its settings; values are JSON, or text where they are not."""
    name, _, rest = said.partition(":")
    settings: dict[str, Any] = {}
    for pair in filter(None, rest.split(",")):
        key, _, value = pair.partition("=")
        try:
            settings[key] = json.loads(value)
        except json.JSONDecodeError:
            settings[key] = value
    return name, settings

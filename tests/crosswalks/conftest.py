"""Makes the makers of files in the genuine layouts, which lie beside the connectors' tests, importable."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "surveys"))

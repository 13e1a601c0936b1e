"""Make the files of a mock restricted run: held-out SCF households stand for confidential truth.

Then run it as docs/confidential.md says::

python scripts/mock_restricted.py FOLDER
microimpute benchmark quick --methods forest,hotdeck --freeze FOLDER/frozen.json
microimpute benchmark FOLDER/task.toml --confidential FOLDER/frozen.json --out FOLDER/result.json
"""

import sys
from pathlib import Path

from microimpute.tasks.base import task


def main(folder: Path) -> None:
    """Write donor.parquet, truth.parquet and task.toml."""
    problem = task("scf_sample").problem(0, "split", None)
    fusion = problem.fusion
    truth = fusion.receiver.frame.to_pandas()
    for position, name in enumerate(fusion.targets):
        truth[name] = problem.truth[:, position]
    folder.mkdir(parents=True)
    fusion.donor.frame.to_pandas().to_parquet(folder / "donor.parquet", index=False)
    truth.to_parquet(folder / "truth.parquet", index=False)
    columns = (*fusion.targets, *fusion.predictors)
    kinds = "\n".join(f'{c} = "{fusion.variables[c].kind.value}"' for c in columns)
    rules = [str(rule) for rule in fusion.rules]
    text = f"""title = "Held-out SCF households"
donor = "donor.parquet"
truth = "truth.parquet"
weight = "WGT"
keys = ["YY1"]
targets = {list(fusion.targets)}
predictors = {list(fusion.predictors)}
rules = {rules}
groups = ["couple"]
[kinds]
{kinds}
[[figure]]
name = "asset test"
target = "LIQ"
threshold = 2000
[[figure]]
name = "net worth of a million or less"
target = "NETWORTH"
threshold = 1000000
"""
    (folder / "task.toml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

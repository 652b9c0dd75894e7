"""What `jaxd2l diagnose` says of each stored training that is held out, and of each mistake that it does not know.

    python benchmarks/named.py --json benchmarks/results/named.json

A table a recipe, as `docs/use/diagnose.md` shows it; a test holds the stored ones against what is computed.
NumPy alone.
"""

import argparse
import json
from pathlib import Path

from jaxd2l.diagnosis import RECIPES, Tried, held_out, left_out
from jaxd2l.report.text import columns


def table(tried: list[Tried]) -> str:
    """A row a variant."""
    header = ("training", "tried", "named", "several", "unlike", "named as another")
    rows = [
        (
            *(one.name, *(str(n or "") for n in (one.seeds, one.named, one.several, one.unlike))),
            ", ".join(f"{name} ({count})" for name, count in one.wrong.items()),
        )
        for one in tried
    ]
    return columns(header, rows)


def main() -> None:
    """Print, and store where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="PATH")
    args = parser.parse_args()
    found = {recipe: {"held_out": held_out(recipe), "left_out": left_out(recipe)} for recipe in RECIPES}
    for recipe, kinds in found.items():
        for kind, tried in kinds.items():
            print(f"{recipe}, {kind.replace('_', ' ')}\n{table(tried)}\n")
    if args.json:
        plain = {r: {k: [one._asdict() for one in t] for k, t in kinds.items()} for r, kinds in found.items()}
        args.json.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""The calibration table of docs/advice.md, for any stores: one line for each, as Markdown on stdout.

    .venv/bin/python tools/advice_table.py [--strengths C,C] STORE ...

Each store is judged alone, by `tapline advise STORE --max-loss 100 --json`.
"""

import json
import subprocess
import sys
from pathlib import Path

TAPLINE = Path(__file__).resolve().parent.parent / "target/release/tapline"
HEADERS = [
    "store", "pictures", "median class", "doubling takes off the errors", "data", "top behind inner", "p",
    "middle worse", "classifier sure", "batch-norm shift", "similarity", "layer", "its loss",
]


def line(store: str, more: list[str], tapline: str) -> list[str]:
    ran = subprocess.run([tapline, "advise", store, "--max-loss", "100", "--json", *more], check=True, capture_output=True, text=True)
    advice = json.loads(ran.stdout)
    data, (seen,) = advice["data"], advice["evidence"]
    curve, top, layer = data["curve"], seen["top"], advice["recommended"]
    taken = "–"
    if curve is not None:
        law, last = curve["law"], curve["sizes"][-1]
        wrong = law["a"] + (law["b"] * last ** -law["c"] if law["b"] else 0.0)
        share = lambda gain: f"{100 * gain / wrong:.0f}" if wrong else "0"
        gain = curve["gain"]
        taken = f"{share(gain['value'])} % ({' to '.join(share(end) for end in gain['interval'])})"
    return [
        Path(store).name,
        f"{advice['pictures']:,}",
        str(data["median_class"]),
        taken,
        data["reading"],
        "–" if top is None else f"{100 * top['ahead']:.1f}",
        "–" if top is None else f"{top['p']:.3f}",
        "yes" if seen["middle_behind"] else "no",
        "–" if seen["answers"] is None else f"{seen['answers']['confidence']:.2f}",
        "–" if seen["shift"] is None else f"{seen['shift']['median']:.2f}",
        seen["reading"],
        "none" if layer is None else layer["name"],
        "–" if layer is None else f"{100 * layer['loss']:.1f} ({' to '.join(f'{100 * end:.1f}' for end in layer['loss_interval'])})",
    ]


def main() -> None:
    words, more, tapline = sys.argv[1:], [], str(TAPLINE)
    while words and words[0].startswith("--"):
        if words[0] == "--tapline":
            tapline = words[1]
        else:
            more += words[:2]
        words = words[2:]
    if not words:
        sys.exit(__doc__)
    print(f"| {' | '.join(HEADERS)} |\n|{'---|' * len(HEADERS)}")
    for store in words:
        print(f"| {' | '.join(line(store, more, tapline))} |", flush=True)


if __name__ == "__main__":
    main()

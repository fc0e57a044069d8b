"""Principal components of made-up rows by NumPy's singular value decomposition: an independent reference.

Writes goldens.json beside this file. Run it with the project's Python: .venv/bin/python crates/tapline-map/tests/goldens/make.py
"""

import json
from pathlib import Path

import numpy as np


def rows(n: int, columns: int) -> np.ndarray:
    """The same numbers as `rows` of tests/principal.rs: falling scales, so that components differ in size."""
    r, c = np.meshgrid(np.arange(n), np.arange(columns), indexing="ij")
    noise = ((r * 7919 + c * 104729 + r * c * 31) % 1009) / 1009.0
    return (noise * (10.0 / (1.0 + c)) + (r % 3 == c % 3) * 2.0).astype(np.float32)


def case(n: int, columns: int, components: int) -> dict:
    """Shares and coordinates of the first components, the largest loading of each positive."""
    x = rows(n, columns).astype(np.float64)
    x -= x.mean(axis=0)
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    scores = u * s
    for k in range(components):
        if vt[k, np.abs(vt[k]).argmax()] < 0:
            scores[:, k] *= -1
    return {
        "rows": n,
        "columns": columns,
        "components": components,
        "explained": (s**2 / (s**2).sum())[:components].tolist(),
        "scores": scores[:, :components].round(6).tolist(),
    }


if __name__ == "__main__":
    cases = [case(40, 7, 3), case(25, 60, 2), case(120, 30, 5)]
    Path(__file__).with_name("goldens.json").write_text(json.dumps(cases) + "\n")

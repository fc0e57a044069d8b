"""Writes goldens.json: what scikit-learn makes of tasks with row weights, wild rows and separable classes, for tests/goldens.rs.

Every feature is a multiple of 1/64 and so exact in JSON. The fits run to a gradient of 1e-10, far below scikit-learn's
default, so that the objective is the minimum to the last digits. The features are standardised with the row weights.

    pip install scikit-learn numpy scipy
    python make.py
"""

import json
import pathlib

import numpy as np
import sklearn
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler


def task(name, rng, rows, columns, classes, noise=1.0):
    hidden = rng.normal(size=(rows, 6))
    mixed = hidden @ rng.normal(size=(6, columns)) + 0.5 * rng.normal(size=(rows, columns))
    x = np.maximum(mixed, -0.5) * rng.lognormal(sigma=0.7, size=columns) + rng.normal(size=columns)
    labels = (hidden[:, :classes] * 1.5 + noise * rng.gumbel(size=(rows, classes))).argmax(axis=1)
    return {"name": name, "classes": classes, "rows": np.round(x * 64) / 64, "labels": labels, "weights": np.ones(rows)}


def objective(z, y, d, weights, intercept, c):
    """Weighted sum of losses and penalty, computed apart from scikit-learn's solver."""
    scores = z @ weights + intercept
    if scores.shape[1] == 1:
        scores = np.hstack([np.zeros_like(scores), scores])
    losses = logsumexp(scores, axis=1) - scores[np.arange(len(y)), y]
    return (d * losses).sum() + (weights**2).sum() / (2 * c)


def fit(z, y, d, c):
    model = LogisticRegression(C=c, tol=1e-10, max_iter=1_000_000, solver="lbfgs").fit(z, y, sample_weight=d)
    weights, intercept = model.coef_.T, model.intercept_
    return {"c": c, "objective": objective(z, y, d, weights, intercept, c)}


def golden(case):
    x, y, d = case["rows"], case["labels"], case["weights"]
    z = StandardScaler().fit(x, sample_weight=d).transform(x)
    return {
        "name": case["name"],
        "classes": case["classes"],
        "columns": x.shape[1],
        "rows": x.ravel().tolist(),
        "labels": y.tolist(),
        "weights": d.tolist(),
        "fits": [fit(z, y, d, c) for c in (0.001, 0.1, 10.0)],
    }


def main():
    rng = np.random.default_rng(20240611)
    two = task("two classes, weighted rows", rng, 90, 10, 2)
    two["weights"] = rng.choice([0.0, 0.5, 1.0, 3.0], size=90)
    four = task("four classes, weighted rows", rng, 120, 8, 4)
    four["weights"] = rng.choice([0.0, 0.25, 1.0, 2.0], size=120)
    wild = task("rows of wildly unequal size", rng, 150, 20, 5)
    wild["rows"] = np.round(wild["rows"] * rng.lognormal(sigma=3.0, size=(150, 1)) * 64) / 64
    wild_two = task("rows of wildly unequal size, two classes", rng, 120, 20, 2)
    wild_two["rows"] = np.round(wild_two["rows"] * rng.lognormal(sigma=3.0, size=(120, 1)) * 64) / 64
    separable = task("separable", rng, 80, 12, 2, noise=0.0)
    cases = [two, four, wild, wild_two, separable, task("separable, three classes", rng, 90, 30, 3, noise=0.0)]
    out = {"scikit_learn": sklearn.__version__, "cases": [golden(case) for case in cases]}
    path = pathlib.Path(__file__).with_name("goldens.json")
    path.write_text(json.dumps(out, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()

"""Writes goldens.json: what scikit-learn makes of a few small tasks, for tests/goldens.rs.

Every feature is a multiple of 1/64 and so exact in float32, float64 and JSON. The fits run to a gradient of 1e-10, far below
scikit-learn's default, so that the objective is the minimum to the last digits.

    pip install scikit-learn numpy
    python make.py
"""

import json
import pathlib

import numpy as np
import sklearn
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler


def features(rng, rows, columns):
    """Skewed, unequally scaled columns around a few shared directions, like those of a layer."""
    rank = 6
    hidden = rng.normal(size=(rows, rank))
    mixed = hidden @ rng.normal(size=(rank, columns)) + 0.5 * rng.normal(size=(rows, columns))
    scaled = np.maximum(mixed, -0.5) * rng.lognormal(sigma=0.7, size=columns) + rng.normal(size=columns)
    return hidden, np.round(scaled * 64) / 64


def task(name, rng, rows, columns, classes, prior=None):
    hidden, x = features(rng, rows, columns)
    logits = hidden[:, :classes] * 1.5 + rng.gumbel(size=(rows, classes)) + (0 if prior is None else np.log(prior))
    return {"name": name, "classes": classes, "rows": x, "labels": logits.argmax(axis=1)}


def objective(z, y, weights, intercept, c):
    """Sum of losses and penalty, computed apart from scikit-learn's solver."""
    scores = z @ weights + intercept
    if scores.shape[1] == 1:
        losses = np.logaddexp(0, np.where(y == 1, -scores[:, 0], scores[:, 0]))
    else:
        losses = logsumexp(scores, axis=1) - scores[np.arange(len(y)), y]
    return losses.sum() + (weights**2).sum() / (2 * c)


def fit(z, y, c):
    model = LogisticRegression(C=c, tol=1e-10, max_iter=100_000, solver="lbfgs").fit(z, y)
    weights, intercept = model.coef_.T, model.intercept_
    if weights.shape[1] == 1:
        margin = np.abs(z @ weights + intercept)[:, 0]
    else:
        ordered = np.sort(z @ weights + intercept, axis=1)
        margin = ordered[:, -1] - ordered[:, -2]
    return {
        "c": c,
        "objective": objective(z, y, weights, intercept, c),
        "predicted": model.predict(z).tolist(),
        # Distance of each row's highest score from the next one, or from 0: a near-tie where small.
        "margin": np.round(margin, 6).tolist(),
        "weight_norm": float(np.linalg.norm(weights)),
    }


def golden(case):
    x, y = case["rows"].astype(np.float64), case["labels"]
    scaler = StandardScaler().fit(x)
    z = scaler.transform(x)
    return {
        "name": case["name"],
        "classes": case["classes"],
        "columns": x.shape[1],
        "rows": x.ravel().tolist(),
        "labels": y.tolist(),
        "mean": scaler.mean_.tolist(),
        "scale": scaler.scale_.tolist(),
        "fits": [fit(z, y, c) for c in (0.001, 0.01, 0.1, 1.0, 10.0)],
    }


def main():
    rng = np.random.default_rng(20240607)
    constant = task("constant column", rng, 60, 8, 2)
    constant["rows"][:, 3] = 1.640625
    duplicate = task("duplicate columns", rng, 80, 6, 3)
    duplicate["rows"] = np.hstack([duplicate["rows"], duplicate["rows"][:, :3]])
    cases = [
        task("two classes", rng, 150, 12, 2),
        task("two unequal classes", rng, 120, 10, 2, prior=[0.93, 0.07]),
        task("five classes", rng, 150, 12, 5),
        task("more columns than rows", rng, 40, 90, 2),
        task("more columns than rows, three classes", rng, 36, 60, 3),
        constant,
        duplicate,
    ]
    out = {"scikit_learn": sklearn.__version__, "cases": [golden(case) for case in cases]}
    path = pathlib.Path(__file__).with_name("goldens.json")
    path.write_text(json.dumps(out, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()

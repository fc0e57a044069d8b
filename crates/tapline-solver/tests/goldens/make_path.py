"""Writes path.json: the lowest objectives of scikit-learn at all 45 default strengths, for tests/goldens.rs.

Every feature is a multiple of 1/64 and so exact in JSON. Each fit is scikit-learn's Newton solver in float64, and its distance from the
minimum is proved here, apart from it: `C/2 |gradient|^2` bounds it, as the penalty's curvature is 1/C; the script stops where that is
more than 1e-9 of the objective.

    pip install scikit-learn numpy scipy
    python make_path.py
"""

import json
import pathlib

import numpy as np
from scipy.special import logsumexp, softmax
from sklearn.linear_model import LogisticRegression

STRENGTHS = [float(f"{10 ** (step / 4 - 6):.6g}") for step in range(45)]


def made(rng, rows, columns, classes, noise):
    hidden = rng.normal(size=(rows, 5))
    x = np.maximum(hidden @ rng.normal(size=(5, columns)) + 0.5 * rng.normal(size=(rows, columns)), -0.5)
    scores = hidden @ rng.normal(size=(5, classes)) + noise * rng.gumbel(size=(rows, classes))
    labels = scores.argmax(axis=1)
    labels[:classes] = np.arange(classes)
    return x, labels


def of(z, y, weights, intercept, c):
    """Objective and the square of its gradient."""
    scores = z @ weights + intercept
    full = np.hstack([np.zeros_like(scores), scores]) if scores.shape[1] == 1 else scores
    losses = logsumexp(full, axis=1) - full[np.arange(len(y)), y]
    residual = softmax(full, axis=1) - np.eye(full.shape[1])[y]
    residual = residual[:, -scores.shape[1] :]
    slope, of_intercept = z.T @ residual + weights / c, residual.sum(axis=0)
    return losses.sum() + (weights**2).sum() / (2 * c), (slope**2).sum() + (of_intercept**2).sum()


def golden(name, x, y):
    x = np.round(x * 64) / 64
    spread = x.std(axis=0)
    z = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)
    objectives = []
    model = LogisticRegression(tol=1e-13, max_iter=5_000, solver="newton-cholesky", warm_start=True)
    for c in STRENGTHS:
        model.set_params(C=c).fit(z, y)
        objective, square = of(z, y, model.coef_.T, model.intercept_, c)
        assert c / 2 * square < 1e-9 * objective, (name, c, objective, square)
        objectives.append(objective)
    fits = [{"c": c, "objective": objective} for c, objective in zip(STRENGTHS, objectives)]
    return {"name": name, "classes": int(y.max()) + 1, "columns": x.shape[1], "rows": x.ravel().tolist(), "labels": y.tolist(), "fits": fits}


def main():
    rng = np.random.default_rng(20261124)
    overlap, apart = made(rng, 160, 12, 2, 1.0), made(rng, 60, 8, 2, 0.0)
    wide, ten, many = made(rng, 40, 70, 2, 0.5), made(rng, 150, 10, 10, 0.3), made(rng, 303, 6, 101, 0.3)
    twice = np.hstack([overlap[0], overlap[0][:, :3], np.full((160, 1), 7.0), np.zeros((160, 1))])
    wild = (overlap[0] + 50) * rng.lognormal(sigma=1.0, size=(160, 1))
    cases = [
        golden("two classes that overlap", *overlap),
        golden("two classes apart", *apart),
        golden("more features than rows", *wide),
        golden("constant and duplicate columns", twice, overlap[1]),
        golden("means of 50, rows scaled log-normally", wild, overlap[1]),
        golden("10 classes", *ten),
        golden("101 classes", *many),
    ]
    pathlib.Path(__file__).with_name("path.json").write_text(json.dumps({"cases": cases}) + "\n")


if __name__ == "__main__":
    main()

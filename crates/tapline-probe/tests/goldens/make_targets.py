"""Writes targets.json: what scikit-learn makes of rows with several labels, and of numbers, for tests/target_goldens.rs.

Nested cross-validation on given folds: for each test fold a strength is chosen by the loss on the other folds, each held out in
turn, and refitted; labels by LogisticRegression of each against the rest (OneVsRestClassifier), numbers by Ridge with
alpha = 1 / C, features standardised on the rows learned from. Features and numbers are exact in float32 and JSON.

    pip install scikit-learn numpy
    python make_targets.py
"""

import json
import pathlib

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import (average_precision_score, f1_score, mean_absolute_error, r2_score,
                             root_mean_squared_error)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

GRID = (0.003, 0.03, 0.3, 3.0)


def grid(values):
    return np.round(values * 64) / 64


def model(kind, c):
    if kind == "labels":
        one = OneVsRestClassifier(LogisticRegression(C=c, tol=1e-12, max_iter=1_000_000))
    else:
        one = Ridge(alpha=1 / c, solver="svd")
    return make_pipeline(StandardScaler(), one)


def predictions(kind, x, y, learn, test, c):
    fitted = model(kind, c).fit(x[learn], y[learn])
    return fitted.decision_function(x[test]) if kind == "labels" else fitted.predict(x[test]).reshape(-1, y.shape[1])


def losses(kind, truth, predicted, spread):
    """Loss of each row, the mean over its outputs."""
    if kind == "labels":
        return np.logaddexp(0, np.where(truth == 1, -predicted, predicted)).mean(axis=1)
    return (((predicted - truth) / spread) ** 2).mean(axis=1)


def nested(kind, x, y, folds):
    predicted, chosen, held_out = np.zeros(y.shape), [], []
    for k in range(folds.max() + 1):
        table = []
        for c in GRID:
            rows = []
            for j in set(range(folds.max() + 1)) - {k}:
                learn, validate = (folds != j) & (folds != k), folds == j
                found = predictions(kind, x, y, learn, validate, c)
                rows.append(losses(kind, y[validate], found, y[learn].std(axis=0)))
            table.append(float(np.concatenate(rows).mean()))
        best = int(np.argmin(table))
        held_out.append(table)
        chosen.append(GRID[best])
        predicted[folds == k] = predictions(kind, x, y, folds != k, folds == k, GRID[best])
    return predicted, chosen, held_out


def label_scores(y, odds):
    said = odds > 0
    return {
        "mean_average_precision": average_precision_score(y, odds, average="macro"),
        "average_precision": average_precision_score(y, odds, average=None).tolist(),
        "micro_f1": f1_score(y, said, average="micro"),
        "macro_f1": f1_score(y, said, average="macro"),
        "log_loss": losses("labels", y, odds, None).mean(),
    }


def number_scores(y, found):
    cosines = (y * found).sum(axis=1) / np.linalg.norm(y, axis=1) / np.linalg.norm(found, axis=1)
    return {
        "r2": r2_score(y, found, multioutput="uniform_average"),
        "r2_of_each": r2_score(y, found, multioutput="raw_values").tolist(),
        "mean_absolute_error": mean_absolute_error(y, found, multioutput="raw_values").tolist(),
        "root_mean_squared_error": root_mean_squared_error(y, found, multioutput="raw_values").tolist(),
        "median_cosine": float(np.median(cosines)) if y.shape[1] > 1 else None,
    }


def case(name, rng, kind, rows, columns, outputs):
    hidden = rng.normal(size=(rows, 5))
    x = hidden @ rng.normal(size=(5, columns)) + 0.5 * rng.normal(size=(rows, columns))
    x = grid(np.maximum(x, -0.5) * rng.lognormal(sigma=0.7, size=columns) + rng.normal(size=columns))
    y = hidden[:, :outputs] + 0.7 * rng.normal(size=(rows, outputs))
    if kind == "labels":
        y = (y > np.linspace(-0.3, 1.0, outputs)).astype(float)
    else:
        y = grid(y * 10.0 ** np.arange(outputs) + [1000.0, -20.0, 0.0][:outputs])
    folds = rng.permutation(np.arange(rows) % 4)
    predicted, chosen, held_out = nested(kind, x, y, folds)
    scores = label_scores(y, predicted) if kind == "labels" else number_scores(y, predicted)
    return {
        "name": name,
        "kind": kind,
        "columns": columns,
        "outputs": outputs,
        "rows": x.ravel().tolist(),
        "targets": y.ravel().tolist(),
        "folds": folds.tolist(),
        "predicted": predicted.ravel().tolist(),
        "chosen": chosen,
        "held_out": held_out,
        "scores": scores,
    }


def main():
    rng = np.random.default_rng(20261126)
    cases = [
        case("four labels", rng, "labels", 96, 9, 4),
        case("three labels, more columns than rows", rng, "labels", 48, 60, 3),
        case("one number", rng, "numbers", 80, 9, 1),
        case("three numbers of unequal units", rng, "numbers", 72, 8, 3),
        case("two numbers, more columns than rows", rng, "numbers", 40, 70, 2),
    ]
    path = pathlib.Path(__file__).with_name("targets.json")
    out = {"scikit_learn": sklearn.__version__, "grid": GRID, "cases": cases}
    path.write_text(json.dumps(out, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()

"""Writes losses.json: what scikit-learn and SciPy make of class weights and of every loss, for tests/losses.rs.

Every feature and target is a multiple of 1/64 and so exact in JSON. Features are standardised with the row weights alone,
as by a scaler that knows nothing of class weights. Objectives are computed apart from the solvers, from their weights:

- logistic: LogisticRegression, with class_weight "balanced" or a dictionary;
- one_vs_rest: LogisticRegression of each output by itself;
- squared_hinge: L-BFGS of SciPy on the same objective, with a free intercept, to a gradient of 1e-9; LinearSVC with an
  intercept_scaling so large that its penalty on the intercept is nearly nothing has to agree to 1e-5;
- squared_error: Ridge with alpha = 1 / C; the normal equations have to agree to 1e-10. Its objective is twice ours.

    pip install scikit-learn numpy scipy
    python make_losses.py
"""

import json
import pathlib

import numpy as np
import sklearn
from scipy.optimize import minimize
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

STRENGTHS = (0.001, 0.1, 10.0)


def grid(values):
    return np.round(values * 64) / 64


def features(rng, rows, columns):
    hidden = rng.normal(size=(rows, 6))
    mixed = hidden @ rng.normal(size=(6, columns)) + 0.5 * rng.normal(size=(rows, columns))
    x = np.maximum(mixed, -0.5) * rng.lognormal(sigma=0.7, size=columns) + rng.normal(size=columns)
    return hidden, grid(x)


def classes(rng, hidden, count):
    """Classes of unequal size."""
    rare = np.linspace(0.0, 1.5, count)
    return (hidden[:, :count] * 1.5 - rare + rng.gumbel(size=(len(hidden), count))).argmax(axis=1)


def penalty(weights, c):
    return (weights**2).sum() / (2 * c)


def sides(y, count):
    return (y[:, None] == [1] if count == 2 else y[:, None] == np.arange(count)).astype(float)


def class_factors(y, d, case):
    count, given = case["classes"], case["class_weights"]
    if given == "balanced":
        return d.sum() / (count * np.bincount(y, weights=d, minlength=count))
    return np.array(given)


def logistic(z, y, d, c, case):
    given = case["class_weights"]
    asked = given if given == "balanced" else dict(enumerate(given))
    model = LogisticRegression(C=c, tol=1e-10, max_iter=1_000_000, class_weight=asked).fit(z, y, sample_weight=d)
    scores = z @ model.coef_.T + model.intercept_
    if case["classes"] == 2:
        scores = np.hstack([np.zeros_like(scores), scores])
    losses = logsumexp(scores, axis=1) - scores[np.arange(len(y)), y]
    return {"objective": (d * class_factors(y, d, case)[y] * losses).sum() + penalty(model.coef_, c)}


def one_vs_rest(z, y, d, c, case):
    objective = 0.0
    for output in range(y.shape[1]):
        model = LogisticRegression(C=c, tol=1e-10, max_iter=1_000_000).fit(z, y[:, output], sample_weight=d)
        score = (z @ model.coef_.T + model.intercept_)[:, 0]
        losses = np.logaddexp(0.0, np.where(y[:, output] == 1, -score, score))
        objective += (d * losses).sum() + penalty(model.coef_, c)
    return {"objective": objective}


def squared_hinge(z, y, d, c, case):
    objective = 0.0
    for side in (2 * sides(y, case["classes"]) - 1).T:

        def value(point):
            lack = np.maximum(0.0, 1 - side * (z @ point[:-1] + point[-1]))
            slope = -2 * d * side * lack
            gradient = np.append(z.T @ slope + point[:-1] / c, slope.sum())
            return (d * lack**2).sum() + penalty(point[:-1], c), gradient

        best = minimize(value, np.zeros(z.shape[1] + 1), jac=True, method="L-BFGS-B",
                        options={"maxiter": 100_000, "maxfun": 1_000_000, "ftol": 0, "gtol": 1e-9, "maxcor": 40})
        svc = LinearSVC(C=c, tol=1e-9, max_iter=10_000_000, intercept_scaling=3e3, dual=False)
        svc.fit(z, side, sample_weight=d)
        other = value(np.append(svc.coef_[0], svc.intercept_))[0]
        assert abs(other - best.fun) <= 1e-5 * best.fun, (case["name"], c, other, best.fun)
        objective += best.fun
    return {"objective": objective}


def squared_error(z, y, d, c, case):
    model = Ridge(alpha=1 / c, solver="svd").fit(z, y, sample_weight=d)
    coefficients = np.atleast_2d(model.coef_)
    residuals = z @ coefficients.T + model.intercept_ - y
    objective = (d[:, None] * residuals**2).sum() / 2 + penalty(coefficients, c)
    # With z centred by the same weights, the intercept is the mean of y, and (Zᵀ D Z + I / C) W = Zᵀ D y.
    weights = np.linalg.solve(z.T @ (d[:, None] * z) + np.eye(z.shape[1]) / c, z.T @ (d[:, None] * y))
    worst = np.abs(weights - coefficients.T).max()
    assert worst <= 1e-10 * np.abs(weights).max(), (case["name"], worst)
    return {"objective": objective, "weights": weights.ravel().tolist(), "intercept": model.intercept_.tolist()}


LOSSES = {f.__name__: f for f in (logistic, one_vs_rest, squared_hinge, squared_error)}


def golden(case):
    x, d = case["rows"], case["row_weights"]
    z = StandardScaler().fit(x, sample_weight=d).transform(x)
    y = case.get("targets", case.get("labels"))
    fits = [{"c": c, **LOSSES[case["loss"]](z, y, d, c, case)} for c in STRENGTHS]
    plain = {key: value.ravel().tolist() if isinstance(value, np.ndarray) else value for key, value in case.items()}
    return {**plain, "columns": x.shape[1], "fits": fits}


def main():
    rng = np.random.default_rng(20240912)
    cases = []
    for count, rows, columns in ((2, 90, 8), (4, 110, 7)):
        hidden, x = features(rng, rows, columns)
        labels, weights = classes(rng, hidden, count), rng.choice([0.0, 0.5, 1.0, 3.0], size=rows)
        base = {"classes": count, "rows": x, "labels": labels, "row_weights": weights}
        cases.append({"name": f"balanced, {count} classes", "loss": "logistic", "class_weights": "balanced", **base})
        given = [0.5, 2.0, 1.0, 4.0][:count]
        cases.append({"name": f"given weights, {count} classes", "loss": "logistic", "class_weights": given, **base})
        cases.append({"name": f"hinge, {count} classes", "loss": "squared_hinge", **base})
    hidden, x = features(rng, 80, 9)
    weights = rng.choice([0.0, 0.5, 1.0, 3.0], size=80)
    several = (hidden[:, :3] + 0.5 * rng.normal(size=(80, 3)) > [0.0, 0.6, -0.4]).astype(float)
    cases.append({"name": "three labels", "loss": "one_vs_rest", "rows": x, "targets": several, "row_weights": weights})
    numbers = grid(hidden[:, :2] * [3.0, 200.0] + [100.0, -5.0] + 0.5 * rng.normal(size=(80, 2)))
    cases.append({"name": "two numbers", "loss": "squared_error", "rows": x, "targets": numbers, "row_weights": weights})
    hidden, x = features(rng, 30, 50)
    base = {"rows": x, "row_weights": np.ones(30)}
    cases.append({"name": "hinge, wide", "loss": "squared_hinge", "classes": 3, "labels": classes(rng, hidden, 3), **base})
    cases.append({"name": "numbers, wide", "loss": "squared_error", "targets": grid(hidden[:, :1]), **base})
    out = {"scikit_learn": sklearn.__version__, "cases": [golden(case) for case in cases]}
    path = pathlib.Path(__file__).with_name("losses.json")
    path.write_text(json.dumps(out, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()

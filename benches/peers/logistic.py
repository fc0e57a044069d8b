"""scikit-learn's LogisticRegressionCV on a raw table, for benches/bench.py: prints JSON.

    logistic.py ROWS COLUMNS CLASSES FEATURES LABELS FOLDS GAP SOLVER JOBS BEST LIMIT STRENGTH…

FEATURES, LABELS and FOLDS are as for `solve_file`; rows of fold k are left out of split k. BEST holds the lowest objective
known for each split and strength (JSON, splits × strengths). The tolerance is the loosest of a few whose objectives on the first
split are within GAP of BEST at five strengths, the ends among them; the timed run uses it. Times leave that search out.
"""

import json
import signal
import sys
import time

import numpy as np
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV


def objective(x, y, coefficients, c):
    """`Σ loss + ‖W‖² / (2 C)`; the last coefficient of each class is the intercept."""
    weights, intercept = coefficients[:, :-1], coefficients[:, -1]
    scores = x @ weights.T + intercept
    if scores.shape[1] == 1:
        scores = np.hstack([np.zeros_like(scores), scores])
    return (logsumexp(scores, axis=1) - scores[np.arange(len(y)), y]).sum() + (weights**2).sum() / (2 * c)


class OutOfTime(Exception):
    pass


def within(limit, work):
    """Whether `work` ends within so many seconds."""

    def stop(*_):
        raise OutOfTime

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        work()
        return True
    except OutOfTime:
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def tolerance(x, y, solver, strengths, best, gap, limit):
    """The loosest tolerance that reaches the gap at every strength, each warm-started by the one before as in the CV class."""
    tried = []

    def search():
        for tol in (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8):
            tried.append((tol, float("inf")))
            model, worst = LogisticRegression(tol=tol, max_iter=100_000, solver=solver, warm_start=True), 0.0
            for c, low in zip(strengths, best):
                model.set_params(C=c).fit(x, y)
                coefficients = np.hstack([model.coef_, model.intercept_[:, None]])
                worst = max(worst, objective(x, y, coefficients, c) / low - 1)
                if worst > gap:
                    break
            tried[-1] = (tol, worst)
            if worst <= gap:
                return

    within(limit, search)
    return tried[-1]


def main():
    rows, columns, _ = map(int, sys.argv[1:4])
    x = np.fromfile(sys.argv[4], "<f4").reshape(rows, columns).astype(np.float64)
    y = np.fromfile(sys.argv[5], "<u4").astype(int)
    folds = np.fromfile(sys.argv[6], "<u4")
    gap, solver, jobs = float(sys.argv[7]), sys.argv[8], int(sys.argv[9])
    best = json.load(open(sys.argv[10]))
    limit = float(sys.argv[11])
    strengths = [float(c) for c in sys.argv[12:]]
    splits = [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(len(best))]
    train = splits[0][0]
    step = max(1, (len(strengths) - 1) // 4)
    tol, worst = tolerance(x[train], y[train], solver, strengths[::step], best[0][::step], gap, limit)
    model = LogisticRegressionCV(
        Cs=strengths, cv=splits, tol=tol, max_iter=100_000, solver=solver, n_jobs=jobs, refit=False,
        use_legacy_attributes=False, l1_ratios=(0,), scoring="accuracy",
    )
    start = time.perf_counter()
    finished = within(limit, lambda: model.fit(x, y))
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "finished": finished, "tolerance": tol, "worst_gap": worst}))


if __name__ == "__main__":
    main()

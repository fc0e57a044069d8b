"""Writes goldens.json: what NumPy, SciPy and scikit-learn make of every statistic, for tests/goldens.rs.

Each is written from the published formula, by another road than the crate's:

- corrected t test: SciPy's t distribution; paired bootstrap: resampled tables of NumPy, 100,000 times;
- random signs: all 2^n of them, for a handful of pictures, instead of draws;
- Holm: rank by rank;
- LogME: the evidence as the density of y under N(0, I / β + F Fᵀ / α), by Cholesky, its maximum by SciPy's bounded search;
- H-score: pseudo-inverse of the covariance; CKA: centred n × n kernels and HSIC;
- rank correlations: scipy.stats;
- learning curve: scipy.optimize.least_squares with bounds from many starts;
- shift: Gaussian densities integrated numerically; energy and confidence: scipy.special.

Every feature is a multiple of 1/64 and so exact in JSON and in f32.

    pip install scikit-learn numpy scipy
    OMP_NUM_THREADS=1 python make.py    # its matrices are too small for threads
"""

import itertools
import json
import pathlib

import numpy as np
import scipy
import sklearn
from scipy import integrate, optimize, special, stats
from sklearn.covariance import empirical_covariance


def grid(values):
    return np.round(values * 64) / 64


def plain(value):
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.item() if isinstance(value, np.generic) else value


def t_tests(rng):
    cases = []
    for sizes in ((20, 20, 20, 20, 20), (34, 33, 33), (13, 12)):
        test = np.array(sizes)
        train = test.sum() - test
        first = rng.binomial(test, 0.85)
        second = rng.binomial(test, 0.7)
        d = (first - second) / test
        ratio = test.sum() / train.sum()
        t = d.mean() / np.sqrt((1 / len(d) + ratio) * d.var(ddof=1))
        p = 2 * stats.t.sf(abs(t), len(d) - 1)
        cases.append({"train": train, "test": test, "first": first, "second": second, "t": t, "p": p})
    return cases


def bootstraps(rng):
    cases = []
    for groups in (None, rng.integers(0, 40, size=300)):
        shared = rng.normal(size=300) if groups is None else rng.normal(size=40)[groups]
        first = shared + rng.normal(size=300) < 1.1
        second = shared + rng.normal(size=300) < 0.75
        units = np.arange(300) if groups is None else np.unique(groups, return_inverse=True)[1]
        count = units.max() + 1
        d = np.bincount(units, weights=first.astype(float) - second, minlength=count)
        size = np.bincount(units, minlength=count)
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=100_000)
        found = (drawn @ d) / (drawn @ size)
        low, high = np.percentile(found, [2.5, 97.5])
        p = min(1.0, 2 * min((found <= 1e-12).mean(), (found >= -1e-12).mean()))
        cases.append({"first": first, "second": second, "groups": groups, "low": low, "high": high, "p": p})
    return cases


def confidence_sets(rng):
    """Hansen's procedure over every assignment of signs."""
    cases = []
    for pictures, taps, folds in ((12, 4, 1), (14, 3, 5), (13, 5, 3)):
        right = rng.random((taps, pictures)) < np.linspace(0.25, 0.9, taps)[:, None]
        right = right[rng.permutation(taps)].astype(float)
        fold_of = np.arange(pictures) % folds
        inflation = 1.0 if folds == 1 else 1 + folds / (folds - 1) / 2
        signs = np.array(list(itertools.product([-1, 1], repeat=pictures)))

        def largest(i, j):
            d = right[j] - right[i]
            length = np.sqrt((d**2).sum())
            return (0.0, np.zeros(len(signs))) if length == 0 else (d.sum() / length, signs @ d / length)

        left, highest, p = list(range(taps)), 0.0, np.ones(taps)
        while len(left) > 1:
            pairs = [(i, j, *largest(i, j)) for i in left for j in left if i != j]
            _, _, top, _ = max(pairs, key=lambda pair: pair[2])
            if top <= 0:
                break
            worse = max(i for i, _, value, _ in pairs if value >= top - 1e-12)
            drawn = np.max([np.abs(values) for *_, values in pairs], axis=0)
            highest = max(highest, (drawn >= top / np.sqrt(inflation) - 1e-9).mean())
            p[worse] = highest
            left.remove(worse)
        behind = []
        for tap in range(taps):
            pairs = [largest(tap, j) for j in range(taps) if j != tap]
            top = max(0.0, max(value for value, _ in pairs))
            drawn = np.maximum(0.0, np.max([values for _, values in pairs], axis=0))
            behind.append((drawn >= top / np.sqrt(inflation) - 1e-9).mean())
        cases.append({"right": right.astype(bool), "fold_of": fold_of, "p": p, "behind": np.array(behind)})
    return cases


def holms(rng):
    cases = []
    for count in (1, 5, 12):
        p = rng.beta(0.3, 3, size=count)
        adjusted = np.empty(count)
        for i, value in enumerate(p):
            earlier = [(sum(q >= other for q in p), other) for other in p if other <= value]
            adjusted[i] = min(1.0, max(factor * other for factor, other in earlier))
        cases.append({"p": p, "adjusted": adjusted})
    return cases


def evidence(f, y):
    """The largest log density of y, per row, over the precisions of weights and noise."""
    n = len(y)
    kernel = f @ f.T

    def negative(point):
        alpha, beta = np.exp(point)
        return -stats.multivariate_normal.logpdf(y, cov=np.eye(n) / beta + kernel / alpha, allow_singular=False)

    starts = itertools.product((-4, 0, 4, 9), (0, 2, 5))
    options = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000}
    return max(-optimize.minimize(negative, start, method="Nelder-Mead", options=options).fun for start in starts) / n


def transfers(rng):
    cases = []
    for name, n, d, classes in (("tall", 80, 6, 3), ("wide", 25, 40, 2), ("dependent", 60, 7, 4)):
        labels = rng.integers(0, classes, size=n)
        centres = rng.normal(size=(classes, d))
        f = grid(np.maximum(0.6 * centres[labels] + rng.normal(size=(n, d)) + 0.5, 0) * rng.lognormal(size=d))
        if name == "dependent":
            f[:, 3], f[:, 5] = 2.0, f[:, 0] + f[:, 1]
        targets = grid(f[:, :2] @ rng.normal(size=(2, 2)) + rng.normal(size=(n, 2)))
        centred = f - f.mean(axis=0)
        means = np.array([f[labels == label].mean(axis=0) for label in labels])
        h = np.trace(np.linalg.pinv(empirical_covariance(f), rcond=1e-10, hermitian=True) @ empirical_covariance(means))
        cases.append({
            "name": name, "rows": f, "labels": labels, "targets": targets,
            "log_me": np.mean([evidence(f, (labels == c).astype(float)) for c in range(classes)]),
            "log_me_regression": np.mean([evidence(f, y) for y in targets.T]),
            "h_score": h if name != "wide" else classes - 1.0,
        })
        assert name == "wide" or np.linalg.matrix_rank(centred) < n - 1
    return cases


def similarities(rng):
    def hsic(k, l):
        h = np.eye(len(k)) - 1 / len(k)
        return np.trace(k @ h @ l @ h)

    cases = []
    for n, widths in ((30, (4, 7, 1)), (12, (20, 35, 5))):
        hidden = rng.normal(size=(n, 4))
        layers = [grid(np.tanh(hidden @ rng.normal(size=(4, d))) + 0.3 * rng.normal(size=(n, d)) + 1) for d in widths]
        kernels = [f @ f.T for f in layers]
        cka = np.array([[hsic(k, l) / np.sqrt(hsic(k, k) * hsic(l, l)) for k in kernels] for l in kernels])
        cases.append({"rows": n, "widths": widths, "layers": [plain(f.ravel()) for f in layers], "cka": cka})
    ranks = []
    for ties in (False, True):
        a = rng.normal(size=19)
        b = a + rng.normal(size=19)
        if ties:
            a, b = np.round(2 * a), np.round(b)
        ranks.append({"first": a, "second": b, "spearman": stats.spearmanr(a, b)[0], "kendall": stats.kendalltau(a, b)[0]})
    return {"cka": cases, "ranks": ranks}


def curves(rng):
    cases = []
    sizes = np.array([50, 100, 200, 400, 800, 1600])
    for a, b, c in ((0.05, 2.0, 0.6), (0.0, 0.8, 0.2), (0.2, 1.0, 1.4)):
        errors = rng.binomial(400, np.minimum(0.95, a + b * sizes**-c), size=(4, len(sizes))) / 400
        mean = errors.mean(axis=0)
        weights = 1 / (mean * (1 - mean))

        def residuals(point):
            return np.sqrt(weights) * (mean - point[0] - point[1] * (sizes / sizes[-1]) ** -point[2])

        starts = itertools.product((0.01, 0.1, 0.2), (0.05, 0.2), (0.05, 0.5, 1.5))
        fits = [optimize.least_squares(residuals, start, bounds=([0, 0, 0.01], [1, np.inf, 2]), xtol=1e-15, ftol=1e-15, gtol=1e-15)
                for start in starts]
        best = min(fits, key=lambda fit: fit.cost)
        fa, fb, fc = best.x
        cases.append({"sizes": sizes, "errors": errors, "loss": 2 * best.cost, "doubled": fa + fb * 2.0**-fc})
    return cases


def shifts(rng):
    epsilon = 1e-3
    found = {"mean": rng.normal(size=7), "variance": rng.lognormal(size=7)}
    stored = {"mean": rng.normal(size=7), "variance": rng.lognormal(size=7)}
    divergences, moves = [], []
    for m1, v1, m2, v2 in zip(found["mean"], found["variance"], stored["mean"], stored["variance"]):
        p, q = stats.norm(m1, np.sqrt(v1 + epsilon)), stats.norm(m2, np.sqrt(v2 + epsilon))

        def one(a, b):
            span = (a.mean() - 12 * a.std(), a.mean() + 12 * a.std())
            return integrate.quad(lambda x: a.pdf(x) * (a.logpdf(x) - b.logpdf(x)), *span, epsabs=1e-11, limit=500)[0]

        divergences.append((one(p, q) + one(q, p)) / 2)
        moves.append(abs(p.mean() - q.mean()) / q.std())
    logits = grid(5 * rng.normal(size=(6, 9)))
    return {
        "epsilon": epsilon,
        "found_mean": found["mean"], "found_variance": found["variance"],
        "stored_mean": stored["mean"], "stored_variance": stored["variance"],
        "divergence": np.median(divergences), "mean_shift": np.median(moves),
        "logits": logits,
        "temperature": 2.5,
        "energy": -2.5 * special.logsumexp(logits / 2.5, axis=1),
        "confidence": special.softmax(logits, axis=1).max(axis=1),
    }


def as_plain(value):
    if isinstance(value, dict):
        return {key: as_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_plain(item) for item in value]
    return plain(value)


def main():
    rng = np.random.default_rng(20240917)
    out = {
        "numpy": np.__version__, "scipy": scipy.__version__, "scikit_learn": sklearn.__version__,
        "t_tests": t_tests(rng), "bootstraps": bootstraps(rng), "confidence_sets": confidence_sets(rng),
        "holms": holms(rng), "transfers": transfers(rng), "similarities": similarities(rng), "curves": curves(rng),
        "shifts": shifts(rng),
    }
    path = pathlib.Path(__file__).with_name("goldens.json")
    path.write_text(json.dumps(as_plain(out), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()

"""Open a store of 18 pictures × 4 views with NumPy and use a probe saved from it. Usage: mean_of_views.py STORE PROBE"""

import json
import pathlib
import sys

import numpy as np
import pandas
from sklearn.linear_model import LogisticRegression

store, saved = pathlib.Path(sys.argv[1]), json.loads(pathlib.Path(sys.argv[2]).read_text())
listing = pandas.read_parquet(store / "listing.parquet")
views = np.load(store / "features/fire2.mean.npy", mmap_mode="r")
good = listing.skipped.isna().to_numpy()
assert views.shape == (19, 4, 128) and views.dtype == np.float32, (views.shape, views.dtype)
assert np.isnan(views[~good]).all() and np.isfinite(views[good]).all()
assert saved["views"] == "flips", saved["views"]

rows, labels = views[good].mean(axis=1, dtype=np.float64).astype(np.float32).astype(np.float64), listing.label[good].to_numpy()
# The saved probe's standardisation is that of the means over the views.
assert np.allclose(saved["mean"], rows.mean(axis=0), rtol=1e-6, atol=1e-6)
deviations = rows.std(axis=0)
assert np.allclose(saved["scale"], np.where(deviations > 0, deviations, 1), rtol=1e-5, atol=1e-6)
standardised = (rows - saved["mean"]) / saved["scale"]
weights = np.ravel(saved["weights"])
scores = standardised @ weights + saved["intercept"][0]
assert (np.where(scores > 0, "light", "dark") == labels).all()
# The mean of the scores of a picture's views is the score of its mean view.
each = ((views[good].astype(np.float64) - saved["mean"]) / saved["scale"]) @ weights + saved["intercept"][0]
assert np.allclose(each.mean(axis=1), scores, atol=1e-5)
# scikit-learn, given the same rows, the same C and the same objective, ends in the same probe: Tapline's objective is
# within 1e-6 (relative) of the least one, which by its strong convexity (the penalty) bounds how far the weights are.
strength = saved["strength"]
theirs = LogisticRegression(C=strength, tol=1e-12, max_iter=100_000).fit(standardised, labels)


def objective(weights: np.ndarray, intercept: float) -> float:
    margins = (standardised @ weights + intercept) * np.where(labels == "light", 1, -1)
    return strength * np.logaddexp(0, -margins).sum() + weights @ weights / 2


ours, least = objective(weights, saved["intercept"][0]), objective(theirs.coef_[0], theirs.intercept_[0])
assert least * (1 - 1e-7) <= ours <= least * (1 + 1e-6), (ours, least)
distance = np.linalg.norm(theirs.coef_[0] - weights)
assert distance <= np.sqrt(2 * 1e-6 * least), (distance, least)

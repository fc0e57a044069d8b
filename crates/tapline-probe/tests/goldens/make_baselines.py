"""Writes baselines.json: what scikit-learn's nearest centroid and nearest neighbours predict, for tests/baselines.rs.

Every feature is a multiple of 1/64 and so exact in float32 and JSON. Where neighbours' votes are equal scikit-learn takes
the class of the lower number and Tapline the class of the nearer row: such predictions are left out, as -1.

    pip install scikit-learn numpy
    python make_baselines.py
"""

import json
import pathlib

import numpy as np
import sklearn
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.preprocessing import StandardScaler, normalize


def neighbours(train, labels, test, count, metric):
    fitted = KNeighborsClassifier(n_neighbors=count, metric=metric, algorithm="brute").fit(train, labels)
    shares = np.sort(fitted.predict_proba(test), axis=1)
    return np.where(shares[:, -1] == shares[:, -2], -1, fitted.predict(test))


def nearest_mean(train, labels, test, metric):
    means = np.stack([train[labels == c].mean(axis=0) for c in range(labels.max() + 1)])
    if metric == "euclidean":
        centroids = NearestCentroid().fit(train, labels)
        assert np.allclose(centroids.centroids_, means)
        return centroids.predict(test)
    return (normalize(test) @ normalize(means).T).argmax(axis=1)


def case(rng, rows, columns, classes):
    x = rng.normal(size=(rows, columns)) * rng.lognormal(size=columns) + rng.normal(size=columns) * 3
    logits = (x - x.mean(axis=0))[:, :classes] / x.std(axis=0)[:classes] + 0.7 * rng.gumbel(size=(rows, classes))
    x, labels = np.round(x * 64) / 64, logits.argmax(axis=1)
    learn = np.arange(rows) % 4 != 1
    scaler = StandardScaler().fit(x[learn])
    train, test = scaler.transform(x[learn]), scaler.transform(x[~learn])
    predicted = {}
    for metric in ("euclidean", "cosine"):
        predicted[f"mean {metric}"] = nearest_mean(train, labels[learn], test, metric).tolist()
        for count in (1, 5, 20):
            predicted[f"{count} {metric}"] = neighbours(train, labels[learn], test, count, metric).tolist()
    return {
        "columns": columns,
        "classes": classes,
        "rows": x.ravel().tolist(),
        "labels": labels.tolist(),
        "test": (~learn).tolist(),
        "predicted": predicted,
    }


rng = np.random.default_rng(5)
cases = [case(rng, 120, 5, 2), case(rng, 160, 8, 4), case(rng, 60, 90, 3)]
file = pathlib.Path(__file__).with_name("baselines.json")
file.write_text(json.dumps({"sklearn": sklearn.__version__, "cases": cases}) + "\n")

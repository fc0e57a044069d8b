"""Writes designs.json: what scikit-learn makes of principal components and balanced classes, for tests/designs.rs.

Each case is a pipeline fitted on all rows, run to a tight tolerance; features are exact in float32.

    pip install scikit-learn numpy
    python make_designs.py
"""

import json
import pathlib

import numpy as np
import sklearn
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

C = 0.3


def task(rng, rows, columns, classes):
    # A third of the rows to the first class, the others to fewer and fewer.
    labels = np.minimum(rng.geometric(0.4, size=rows) - 1, classes - 1)
    labels[: 3 * classes] = np.tile(np.arange(classes), 3)
    mixed = rng.normal(size=(rows, columns)) @ rng.normal(size=(columns, columns))
    features = mixed * 10.0 ** rng.integers(-2, 3, size=columns) + rng.normal(size=(classes, columns))[labels]
    return features.astype(np.float32), labels


def case(rng, rows, columns, classes, components, balanced):
    features, labels = task(rng, rows, columns, classes)
    x = features.astype(np.float64)
    steps = [StandardScaler()] + ([PCA(components, svd_solver="full")] if components else [])
    weight = "balanced" if balanced else None
    solver = LogisticRegression(C=C, class_weight=weight, solver="lbfgs", tol=1e-12, max_iter=100_000)
    fitted = make_pipeline(*steps, solver).fit(x, labels)
    return {
        "columns": columns,
        "classes": classes,
        "components": components,
        "balanced": balanced,
        "features": features.ravel().tolist(),
        "labels": labels.tolist(),
        "probabilities": fitted.predict_proba(x).ravel().tolist(),
    }


def main():
    rng = np.random.default_rng(20260611)
    cases = [
        case(rng, 90, 12, 3, 4, False),
        case(rng, 80, 10, 2, 3, True),
        case(rng, 40, 60, 3, 8, False),
        case(rng, 90, 12, 4, None, True),
        case(rng, 120, 7, 2, None, True),
    ]
    path = pathlib.Path(__file__).with_name("designs.json")
    path.write_text(json.dumps({"scikit-learn": sklearn.__version__, "c": C, "cases": cases}) + "\n")


if __name__ == "__main__":
    main()

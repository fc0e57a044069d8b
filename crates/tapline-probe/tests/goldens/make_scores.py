"""Writes scores.json: what scikit-learn makes of some predictions, for tests/score_goldens.rs.

Scores are multiples of 1/4096 and so exact in float32 and JSON. The calibration error, which scikit-learn
lacks, is computed with NumPy's histogram.

    pip install scikit-learn numpy
    python make_scores.py
"""

import json
import pathlib

import numpy as np
import sklearn
from scipy.special import expit, softmax
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score, top_k_accuracy_score


def calibration_error(confidence, right):
    edges = np.linspace(0, 1, 16)
    edges[0] = -1
    bins = np.digitize(confidence, edges, right=True) - 1
    gap = lambda inside: abs(right[inside].mean() - confidence[inside].mean()) * inside.mean()
    return sum(gap(bins == b) for b in np.unique(bins))


def case(rng, rows, classes):
    labels = rng.integers(classes, size=rows)
    scores = rng.normal(size=(rows, classes)) + 1.2 * np.eye(classes)[labels]
    # No two classes of a row are equal, but many rows of a class are.
    scores = np.round(scores * 64) / 64 - np.arange(classes) / 4096
    if classes == 2:
        scores = scores[:, 1:] - scores[:, :1]
        probabilities = np.hstack([1 - expit(scores), expit(scores)])
        area = roc_auc_score(labels, scores[:, 0])
        precision = average_precision_score(labels, scores[:, 0])
    else:
        probabilities = softmax(scores, axis=1)
        # Scores, not probabilities, are ranked here; scikit-learn wants rows that sum to 1 for `multi_class`.
        area = np.mean([roc_auc_score(labels == k, scores[:, k]) for k in range(classes)])
        precision = np.mean([average_precision_score(labels == k, scores[:, k]) for k in range(classes)])
        of_probabilities = np.mean([roc_auc_score(labels == k, probabilities[:, k]) for k in range(classes)])
        assert abs(roc_auc_score(labels, probabilities, multi_class="ovr") - of_probabilities) < 1e-12
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    return {
        "classes": classes,
        "scores": scores.ravel().tolist(),
        "labels": labels.tolist(),
        "predicted": predicted.tolist(),
        "confidence": confidence.tolist(),
        "auroc": area,
        "average_precision": precision,
        "top_five": int(top_k_accuracy_score(labels, scores, k=5, normalize=False)) if classes > 5 else rows,
        "macro_f1": f1_score(labels, predicted, average="macro"),
        "calibration_error": calibration_error(confidence, predicted == labels),
    }


def main():
    rng = np.random.default_rng(20240608)
    cases = [case(rng, 200, 2), case(rng, 200, 3), case(rng, 300, 8), case(rng, 40, 12)]
    path = pathlib.Path(__file__).with_name("scores.json")
    path.write_text(json.dumps({"scikit_learn": sklearn.__version__, "cases": cases}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()

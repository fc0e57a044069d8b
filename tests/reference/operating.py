"""The operating point for a class and a recall from a file of `probe --predictions`: PREDICTIONS CLASS RECALL

Prints the threshold over all pictures; right and all of recall, specificity and precision, where each fold's pictures are called by
the threshold of the other folds; scikit-learn's area under the ROC curve; and the 95 % interval of specificity over resamples of the
pictures with thresholds chosen anew. The file's own predictions must be the same.
"""

import math
import sys

import numpy as np
import pandas
import sklearn.metrics


def threshold(probabilities: np.ndarray, recall: float) -> float:
    """The lowest of the highest ⌈(n + 1) recall⌉ probabilities."""
    rank = math.ceil(round((len(probabilities) + 1) * recall, 9))
    return np.sort(probabilities)[::-1][rank - 1]


def by_other_folds(own: np.ndarray, fold: np.ndarray, probability: np.ndarray, recall: float) -> np.ndarray:
    """Which pictures are called."""
    called = np.zeros(len(own), bool)
    for one in np.unique(fold):
        inside = fold == one
        called[inside] = probability[inside] >= threshold(probability[own & ~inside], recall)
    return called


def main() -> None:
    file, name, recall = sys.argv[1], sys.argv[2], float(sys.argv[3])
    table = pandas.read_csv(file)
    own = (table.label == name).to_numpy()
    probability = np.where(own, table.true_probability, 1 - table.true_probability)
    fold = table.fold.to_numpy()
    called = by_other_folds(own, fold, probability, recall)
    assert ((table.predicted == name) == called).all()
    print(repr(float(threshold(probability[own], recall))))
    print((called & own).sum(), own.sum(), (~called & ~own).sum(), (~own).sum(), (called & own).sum(), called.sum())
    print(repr(float(sklearn.metrics.roc_auc_score(own, probability))))
    random, found = np.random.default_rng(0), []
    for _ in range(1000):
        drawn = random.integers(len(own), size=len(own))
        found.append((~by_other_folds(own[drawn], fold[drawn], probability[drawn], recall))[~own[drawn]].mean())
    print(*(repr(float(end)) for end in np.percentile(found, [2.5, 97.5])))


main()

"""The operating point for a class and a recall from a file of `probe --predictions`: PREDICTIONS CLASS RECALL

Prints the threshold over all pictures, then right and all of recall, specificity and precision, where each fold's pictures are
called by the threshold of the other folds. Also checks scikit-learn's area under the ROC curve, printed last.
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


def main() -> None:
    file, name, recall = sys.argv[1], sys.argv[2], float(sys.argv[3])
    table = pandas.read_csv(file)
    own = (table.label == name).to_numpy()
    probability = np.where(own, table.true_probability, 1 - table.true_probability)
    called = np.zeros(len(table), bool)
    for fold in table.fold.unique():
        inside = (table.fold == fold).to_numpy()
        called[inside] = probability[inside] >= threshold(probability[own & ~inside], recall)
    print(repr(float(threshold(probability[own], recall))))
    print((called & own).sum(), own.sum(), (~called & ~own).sum(), (~own).sum(), (called & own).sum(), called.sum())
    print(repr(float(sklearn.metrics.roc_auc_score(own, probability))))


main()

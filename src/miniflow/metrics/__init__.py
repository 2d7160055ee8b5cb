"""Metrics: numbers that say how good predictions are, over a whole data set.

    history = mf.fit(loss, data, optimizer, metrics={"auc": mf.metrics.AUC()})
    mf.evaluate(loss, test, metrics={"f1": mf.metrics.F1()}).metrics["f1"]

A metric is asked for by a name of one's own, under which the history, its CSV file, the progress
and callbacks have it. It is what it is over all labels, and not a mean of means over batches; and
equal to scikit-learn's function of that name. It reads the logits and the labels of the loss; other
nodes where it is told so, `AUC(of=(scores, labels))`. With `weights=node` each label counts as much
as that node's value says, and one of weight 0 not at all: that is a mask.

A metric is called by itself on arrays, too: `mf.metrics.AUC()(scores, labels)`.

Here: `base` has what a metric is, and how scores and labels are read; `classes` those of classes,
`ranks` those of order, `numbers` those of numbers.
"""

from miniflow.graph.checks import tell_wrong_calls
from miniflow.metrics.base import Count, Metric
from miniflow.metrics.classes import F1, Accuracy, Precision, Recall
from miniflow.metrics.numbers import MAE, R2, RMSE
from miniflow.metrics.ranks import AUC, TopK

__all__ = [
    "AUC",
    "F1",
    "MAE",
    "R2",
    "RMSE",
    "Accuracy",
    "Count",
    "Metric",
    "Precision",
    "Recall",
    "TopK",
]

_INSTEAD = {
    "sample_weight": "write weights=, a node",
    "pos_label": "class 1 is the positive one",
    "multi_class": "each class stands against all others",
    "top_k": "write k=",
}

for _name in set(__all__) - {"Count", "Metric"}:
    tell_wrong_calls(globals()[_name], _INSTEAD)

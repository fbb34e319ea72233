"""
===============================================
A few components: a pruned net instead of PCA
===============================================

PCA finds directions in which rows vary, whatever the labels are. With `n_components`, the hidden
representation of a pruned net has as many orthogonal components, which know the labels, and takes
the place of PCA in a pipeline. :class:`skactprune.inspection.PCAComparisonDisplay` fits both for
several numbers of components, a classifier on each, and draws their scores.
"""

from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skactprune import PrunedMLPClassifier
from skactprune.inspection import PCAComparisonDisplay

# %%
# The same classifier on both
# ---------------------------
# 1797 handwritten digits of 64 pixels. On each fold and for each number, a net is trained and
# pruned, and logistic regression is fitted on its components, and on those of PCA.

X, y = load_digits(return_X_y=True)
net = PrunedMLPClassifier((64,), max_iter=40, learning_rate_init=0.005, random_state=0)
model = make_pipeline(MinMaxScaler(), net)
display = PCAComparisonDisplay.from_estimator(
    model, X, y, n_components=[2, 3, 5, 8, 12, 20], cv=3, n_jobs=2
)
display.ax_.set_title("digits: logistic regression on a few components")
plt.show()

# %%
# The numbers are in ``rows``, fit for ``pandas.DataFrame``; it has what
# :func:`skactprune.compare_with_pca` tells of one number of components, beside many other models.

for k in (2, 8):
    for method in display.lines_:
        scores = [
            row["test_accuracy"]
            for row in display.rows
            if row["method"] == method and row["n_components"] == k
        ]
        print(f"{k} components, {method}: accuracy {sum(scores) / len(scores):.3f}")

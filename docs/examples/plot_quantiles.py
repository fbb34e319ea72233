"""
==============================================
Not one number but a range: quantiles
==============================================

A regressor that says 150 does not say whether it could as well have been 250.
:class:`skactprune.PrunedMLPRegressor` predicts any quantile with ``loss="quantile"``: with a tenth
of the outcomes below the one and nine tenths below the other, four of five should be between them.
Whether that holds for rows that the nets have not seen has to be counted.
"""

import numpy as np
from matplotlib import pyplot as plt
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skactprune import PrunedMLPRegressor

# %%
# Three nets
# ----------
# 442 patients, and how far their diabetes had gone a year later. Nets learn targets near 0 and of
# about unit variance, so that these are scaled as well as the features. Every patient is predicted
# by nets that were fitted without it.

X, y = load_diabetes(return_X_y=True)
quantiles = (0.1, 0.5, 0.9)
folds = KFold(5, shuffle=True, random_state=0)
predicted = {}
for quantile in quantiles:
    net = PrunedMLPRegressor(
        "quantile",
        (50,),
        quantile=quantile,
        alpha=1.0,
        learning_rate_init=0.01,
        early_stopping=True,
        random_state=0,
    )
    model = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), net), transformer=StandardScaler()
    )
    predicted[quantile] = cross_val_predict(model, X, y, cv=folds)

# %%
# The ranges
# ----------
# Patients in the order of the predicted median.

low, median, high = predicted.values()
inside = (low <= y) & (y <= high)
order = np.argsort(median)
place = np.empty(len(y), int)
place[order] = np.arange(len(y))

figure, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
# Okabe and Ito's colours, which the colour-blind tell apart.
ax.vlines(
    place, low, high, color="#56B4E9", alpha=0.5, linewidth=1, label="10 % to 90 %, predicted"
)
ax.plot(place[order], median[order], color="#0072B2", label="median, predicted")
ax.plot(place[inside], y[inside], ".", color="black", markersize=4, label="outcome, inside")
ax.plot(place[~inside], y[~inside], "x", color="#D55E00", markersize=5, label="outcome, outside")
ax.set_xlabel("patients")
ax.set_ylabel("progression of the disease")
ax.set_ylim(top=1.25 * y.max())
ax.legend(fontsize=8, ncols=2, loc="upper left")
plt.show()

# %%
# Counted
# -------

for quantile, values in predicted.items():
    print(f"outcomes below the predicted quantile {quantile:.0%}: {np.mean(y <= values):.0%}")
print(f"between the outer two: {inside.mean():.0%}; R² of the median: {r2_score(y, median):.2f}")
print(f"rows where the quantiles cross: {np.mean((low > median) | (median > high)):.1%}")

# %%
# Each net is fitted by itself, so that nothing keeps quantiles from crossing; and where the ranges
# turn out too narrow or too wide, conformal methods move them on rows put aside.

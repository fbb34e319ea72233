"""Training accuracy, from the predictions that training makes anyway."""

import numpy as np
import torch


class RunningAccuracy:
    """Accuracy over the batches of an epoch, weighted as the loss is.

    Attributes
    ----------
    value : float
        Share of the weight of all rows that is classified rightly; NaN where no batch had integer
        class labels as targets.
    """

    def __init__(self):
        self._hits, self._rows = 0.0, 0.0

    @property
    def value(self):
        return self._hits / self._rows if self._rows else float("nan")

    def add(self, y_pred, target, weight):
        """Add a batch.

        Parameters
        ----------
        y_pred : torch.Tensor of shape (n_rows, n_outputs), or tuple that begins with it
            Output of the net.
        target : torch.Tensor of shape (n_rows,), or tuple that begins with it
            Targets.
        weight : torch.Tensor of shape (n_rows,) or None
            Weights of the rows.
        """
        y = target[0] if isinstance(target, (tuple, list)) else target
        logits = y_pred[0] if isinstance(y_pred, tuple) else y_pred
        if y.is_floating_point() or y.dim() != 1:
            return
        # numpy is several times as fast with few rows; it knows no half precision of all kinds.
        logits = _array(logits.detach())
        one_output = logits[0].size <= 1
        chosen = logits.reshape(len(logits)) > 0 if one_output else logits.argmax(axis=1)
        right = chosen == _array(y)
        if weight is None:
            self._hits += int(np.count_nonzero(right))
            self._rows += len(right)
            return
        weight = _array(weight)
        self._hits += float((right * weight).sum())
        self._rows += float(weight.sum())


def _array(tensor):
    tensor = tensor.cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()

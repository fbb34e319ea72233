"""Training accuracy, from the predictions that training makes anyway."""


def hits_of_batch(y_pred, target, weight):
    """Weight of the rows that are classified rightly, and of all rows."""
    y = target[0] if isinstance(target, (tuple, list)) else target
    logits = y_pred[0] if isinstance(y_pred, tuple) else y_pred
    if y.is_floating_point() or y.dim() != 1:
        return 0.0, 0.0
    y = y.to(logits.device)
    right = logits.argmax(dim=1) == y if logits.shape[1:].numel() > 1 else (logits[:, 0] > 0) == y
    if weight is None:
        return float(right.sum()), float(len(y))
    weight = weight.to(logits.device)
    return float((right * weight).sum()), float(weight.sum())

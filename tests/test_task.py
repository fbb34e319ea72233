"""What is learned, as a value."""

import numpy as np

from skactprune.estimators._classification import Classification


def test_two_classes_have_one_output():
    two, three = Classification(np.array(["a", "b"])), Classification(np.arange(3))
    assert (two.n_outputs, two.out_activation) == (1, "logistic")
    assert (three.n_outputs, three.out_activation) == (3, "softmax")
    assert two.predict(np.array([[-1.0], [2.0]])).tolist() == ["a", "b"]
    assert two.encode(np.array(["b", "a"])).tolist() == [1, 0]
    assert three.predict(np.eye(3)[[2, 0]]).tolist() == [2, 0]

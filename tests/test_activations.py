"""Records of activations and outputs: numpy, torch, derivative and ONNX say the same."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit

from skactprune.nets.activations import (
    ACTIVATIONS,
    HiddenActivation,
    add_activation,
    get_activation,
)
from skactprune.nets.outputs import (
    LOGISTIC,
    SOFTMAX,
    get_output,
    output_for_classes,
    output_of_classifier,
)

ONNX = {
    None: lambda z: z,
    "Sigmoid": expit,
    "Tanh": np.tanh,
    "Relu": lambda z: np.where(z > 0, z, 0),
}
ARGUMENTS = np.linspace(-6, 6, 61)


def test_the_activations_are_those_of_scikit_learn():
    from sklearn.neural_network._base import ACTIVATIONS as known

    assert set(ACTIVATIONS) == set(known) - {"softmax", "exp"}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_numpy_torch_and_onnx_mean_the_same(name):
    record = get_activation(name)
    expected = ONNX[record.onnx_operator](ARGUMENTS)
    assert_allclose(record.apply(ARGUMENTS.copy()), expected, rtol=1e-14, atol=1e-14)
    tensor = record.apply_to_tensor(torch.tensor(ARGUMENTS))
    assert_allclose(tensor.numpy(), expected, rtol=1e-14, atol=1e-14)
    assert get_activation(record) is record


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_derivative_of_the_output_is_that_of_the_input(name, dtype):
    record = get_activation(name)
    z = torch.tensor(ARGUMENTS, dtype=torch.float64, requires_grad=True)
    h = record.apply_to_tensor(z * 1)
    h.sum().backward()
    found = record.derivative(h.detach().numpy().astype(dtype))
    assert found.dtype in (dtype, bool)
    assert_allclose(found * np.ones_like(ARGUMENTS), z.grad.numpy(), atol=1e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_what_is_overwritten_keeps_its_sign(name):
    z = torch.tensor(ARGUMENTS)
    get_activation(name).apply_to_tensor(z)
    assert_array_equal(z.numpy() > 0, ARGUMENTS > 0)


def test_names_are_checked():
    with pytest.raises(ValueError, match="activation='gelu' is unknown. Known names: 'identity'"):
        get_activation("gelu")
    with pytest.raises(ValueError, match="out_activation='probit' is unknown"):
        get_output("probit")
    with pytest.raises(ValueError, match="name='relu' is taken by"):
        add_activation(HiddenActivation("relu", np.abs, np.sign, "abs_", "Abs"))


@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_outputs_of_classifiers(n_classes):
    output = output_for_classes(n_classes)
    assert output is (LOGISTIC if n_classes == 2 else SOFTMAX)
    assert get_output(output.name) is output
    width = output.width(n_classes)
    assert width == (1 if n_classes == 2 else n_classes)
    assert output_of_classifier(width) is output
    logits = np.random.default_rng(0).normal(size=(40, width))
    probabilities = output.link(logits)
    assert probabilities.shape == (40, n_classes)
    assert_allclose(probabilities.sum(axis=1), 1)
    assert_allclose(output.log_link(logits), np.log(probabilities))
    classes = np.array(list("abcdefg"))[:n_classes]
    assert_array_equal(output.predict(logits, classes), classes[probabilities.argmax(axis=1)])
    far = output.log_link(logits * 1e4)
    assert np.isfinite(far).all()


def test_records_import_no_torch():
    code = (
        "import sys, skactprune.nets.activations, skactprune.nets.outputs\n"
        "print({'torch', 'sklearn', 'onnx'} & {*sys.modules}, *skactprune.nets.outputs.OUTPUTS)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stderr == ""
    assert result.stdout.startswith("set() logistic softmax multilabel")

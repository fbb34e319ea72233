"""The claims of "Activation-Based Pruning of Neural Networks", put to the test."""

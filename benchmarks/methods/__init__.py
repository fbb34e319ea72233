"""All methods beside each other and beside what is published: ``python -m benchmarks.methods``.

LeNet-300-100 on MNIST. One module an experiment, as in `benchmarks.reproduce`, whose runner does
the runs.
"""

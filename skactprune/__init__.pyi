# For type checkers, which cannot follow `__getattr__`: the names in `_HOMES`.
from skactprune._skl2onnx import register_onnx_converters as register_onnx_converters
from skactprune.chunks import Chunks as Chunks
from skactprune.deploy import (
    CompactAutoencoder as CompactAutoencoder,
    CompactMLPClassifier as CompactMLPClassifier,
    CompactMLPRegressor as CompactMLPRegressor,
    CompactMLPTransformer as CompactMLPTransformer,
    compact as compact,
    compact_low_rank as compact_low_rank,
    load as load,
    save as save,
    to_onnx as to_onnx,
)
from skactprune.estimators import (
    PrunedAutoencoder as PrunedAutoencoder,
    PrunedMLPClassifier as PrunedMLPClassifier,
    PrunedMLPRegressor as PrunedMLPRegressor,
    PrunedMLPTransformer as PrunedMLPTransformer,
)
from skactprune.inspection import compare_with_pca as compare_with_pca, pruning_path as pruning_path
from skactprune.methods import Method as Method, register as register
from skactprune.methods.activation import Activation as Activation
from skactprune.methods.activation_magnitude import ActivationMagnitude as ActivationMagnitude
from skactprune.methods.firing_deviation import FiringDeviation as FiringDeviation
from skactprune.methods.ganguli2024 import Ganguli2024 as Ganguli2024
from skactprune.methods.magnitude import Magnitude as Magnitude
from skactprune.methods.random import Random as Random
from skactprune.methods.scores import ScorePruning as ScorePruning
from skactprune.methods.surgeon import ActivationSurgeon as ActivationSurgeon
from skactprune.penalties import WeightedNuclearNorm as WeightedNuclearNorm
from skactprune.pruning.pruner import Pruner as Pruner
from skactprune.pruning.schedules import (
    Cubic as Cubic,
    Geometric as Geometric,
    Linear as Linear,
    OneShot as OneShot,
)
from skactprune.pruning.triggers import (
    AccuracyTrigger as AccuracyTrigger,
    EpochTrigger as EpochTrigger,
    ProgressTrigger as ProgressTrigger,
    ScoreTrigger as ScoreTrigger,
)

__version__: str

"""Files of compact models, damaged and made up: the same model, or one error that says so.

From the folder of the tests: ``python -m fuzz files --minutes 10 --seed 0``. Every bit of seven
small files is flipped in turn. Then random edits are made: of what is in an archive, with checksums
that are right again; of the archive around it; and, with digests that are right again too, of what
the metadata and the arrays say. These last can make other models, but no other exceptions.
"""

import copy
import io
import json
import os
import resource
import sys
import tempfile
import time
import warnings
import zipfile
from dataclasses import dataclass, field

import numpy as np
from compact_nets import model_of, random_net
from model_files import content, text_of

from skactprune import load

N_EDITS = 20_000
# Values that metadata never has where they are put.
NASTY = (
    [None, True, -1, 0, 1, 2, 0.5, 1e308, 2**31, 2**40, 2**63, 2**70, 10**400, "", "a", "\ud800"]
    + ["<U100000000", "<i8", "|O", "object", "M8[s]", "int8", "float64", [], {}, [[]], ["a", "a"]]
    + [[2**40, 6, 5, 3], [1] * 1000, {"dtype": "<U100000000", "values": ["a", "b"]}]
)
NASTY_NUMBERS = (0, -0.0, 1, -1, 127, -128, 1e-45, 3e38, np.nan, np.inf)


def small_models():
    """Seven models that use all that files can hold."""

    def model(storage, *sizes, scaled=False, names=False, **options):
        made = model_of(random_net(sizes, **options), storage)
        n_features = sizes[0]
        weights = made.weights_
        if scaled:
            weights = weights.with_scaled_input(np.ones(n_features), np.full(n_features, 0.5))
        labels = np.array([f"feature {i}" for i in range(n_features)], dtype=object)
        return made.with_weights(weights, labels if names else None)

    return [
        model("float32", 5, 4, 3, components=2),
        model("int8", 6, 8, 3, density=0.15, scaled=True, classes=["no", "yes", "maybe"]),
        model("float16", 4, 3, 3, scaled=True, names=True, classes=[-1.5, 0.0, 2.5]),
        model("float64", 3, 2, 1, dtype=np.float64, classes=[False, True]),
        model("int8", 4, 3, names=True, classes=np.array(["a", "", "\u00e4"], dtype=object)),
        model("codebook", 9, 8, 4, density=0.2, scaled=True),
        model("float32", 9, 8, 4, rank=1, names=True),
    ]


def fingerprint(model):
    """All that a model is, in a value that can be compared."""
    arrays = model.weights_.to_arrays()
    names = getattr(model, "feature_names_in_", None)
    return (
        type(model),
        model.weights_.metadata(),
        {name: (a.dtype.str, a.shape, a.tobytes()) for name, a in arrays.items()},
        [W.tobytes() for W in model.coefs_],
        model.classes_.dtype.str,
        repr(model.classes_.tolist()),
        model.output_prefix_,
        None if names is None else names.tolist(),
    )


@dataclass
class Counts:
    """What became of the files that were tried."""

    same: int = 0
    refused: int = 0
    made: int = 0
    different: int = 0
    foreign: int = 0
    memory_mib: float = 0.0
    faults: list = field(default_factory=list)

    @property
    def tried(self):
        return self.same + self.refused + self.made + self.different + self.foreign

    def __str__(self):
        lines = [
            f"{self.tried} files: {self.refused} refused, {self.same} the same model, "
            f"{self.made} models made on purpose",
            f"silently different models: {self.different}",
            f"foreign exceptions: {self.foreign}",
            f"peak memory above that at the start: {self.memory_mib:.1f} MiB",
        ]
        return "\n".join(lines + self.faults[:20])


class Trial:
    """Loads one content after another and counts."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "model.npz")
        self.counts = Counts()
        self.start = peak_memory()

    def load(self, content, expected, what, *, may_differ=False):
        counts = self.counts
        with open(self.path, "wb") as file:
            file.write(content)
        try:
            found = fingerprint(load(self.path))
        except ValueError as error:
            if type(error) is ValueError and repr(self.path) in str(error):
                counts.refused += 1
            else:
                self.fault("foreign", f"{what}: {error!r}")
        except Exception as error:
            self.fault("foreign", f"{what}: {error!r}")
        else:
            if found == expected:
                counts.same += 1
            elif may_differ:
                counts.made += 1
            else:
                self.fault("different", f"{what}: another model")
        counts.memory_mib = (peak_memory() - self.start) / 2**20

    def fault(self, kind, what):
        setattr(self.counts, kind, getattr(self.counts, kind) + 1)
        self.counts.faults.append(what)


def peak_memory():
    kilo = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilo


# -- edits ----------------------------------------------------------------------------------


def edit_bytes(content, rng):
    """Some bytes changed, taken out, put in or repeated."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        start = int(rng.integers(len(content) + 1))
        end = min(len(content), start + int(rng.integers(1, 9)))
        kind = rng.integers(5)
        if kind == 0 and start < end:
            content[start] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            content[start:end] = rng.bytes(end - start)
        elif kind == 2:
            del content[start:end]
        elif kind == 3:
            content[start:start] = rng.bytes(end - start)
        else:
            content[start:start] = content[start:end]
    return bytes(content)


def edit_digits(content, rng):
    """Digits of a text become other digits, so that it is read as well as before."""
    content = bytearray(content)
    digits = [i for i, byte in enumerate(content) if 48 <= byte < 58]
    for i in rng.choice(digits, size=min(len(digits), int(rng.integers(1, 4))), replace=False):
        content[i] = 48 + int(rng.integers(10))
    return bytes(content)


def members_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def archive_of(members, rng):
    buffer = io.BytesIO()
    kinds = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]
    # Of two entries of one name, zipfile warns.
    with (
        warnings.catch_warnings(action="ignore"),
        zipfile.ZipFile(buffer, "w", kinds[rng.integers(2)]) as archive,
    ):
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = archive.compression
            with archive.open(info, "w", force_zip64=bool(rng.integers(2))) as member:
                member.write(content)
    return buffer.getvalue()


def edit_members(content, rng):
    """What is in the archive is changed; its checksums are right."""
    members = members_of(content)
    i, j = rng.integers(len(members), size=2)
    (name, inner), (other, others) = members[i], members[j]
    kind = rng.integers(8)
    if kind < 3:
        members[i] = name, edit_bytes(inner, rng)
    elif kind == 3:
        members[i] = name, edit_digits(inner, rng)
    elif kind == 4:
        del members[i]
    elif kind == 5:
        members[i], members[j] = (name, others), (other, inner)
    elif kind == 6:
        members.insert(j, (str(rng.choice(["x.npy", "gaps.npy", "input_scale.npy"])), inner))
    else:
        members[i] = str(rng.choice(["x.npy", "metadata", "gaps.npy", name[:-4]])), inner
    return archive_of(members, rng)


def edit_archive(content, rng):
    """The archive around the arrays is changed, mostly where it tells what is in it."""
    kind = rng.integers(5)
    if kind == 0:
        return content[: int(rng.integers(len(content)))]
    if kind == 1:
        return rng.bytes(int(rng.integers(1, 100))) + content
    if kind == 2:
        return content + rng.bytes(int(rng.integers(1, 100)))
    start = content.index(b"PK\1\2")
    return content[:start] + edit_bytes(content[start:], rng)


def edit_meaning(content, rng):
    """What the metadata and the arrays say is changed; checksums and digests are right."""
    arrays = {}
    for name, inner in members_of(content):
        arrays[name[:-4]] = np.load(io.BytesIO(inner))
    meta = json.loads(arrays.pop("metadata").tobytes())
    del meta["arrays"], meta["digest"]
    for _ in range(rng.integers(1, 3)):
        name = str(rng.choice(list(arrays)))
        if rng.integers(2):
            arrays[name] = edit_array(arrays[name], rng)
        else:
            edit_value(meta, rng)
    text = text_of(meta, arrays, int(rng.integers(1, 3)))
    buffer = io.BytesIO()
    metadata = np.frombuffer(text.encode(), np.uint8)
    np.savez_compressed(buffer, metadata=metadata, **arrays)
    return buffer.getvalue()


def edit_value(values, rng):
    """Replace an entry of what JSON can hold, or of one of its entries."""
    keys = list(values) if isinstance(values, dict) else list(range(len(values)))
    key = keys[rng.integers(len(keys))]
    if isinstance(values[key], list | dict) and values[key] and rng.integers(3):
        edit_value(values[key], rng)
    else:
        # A copy: what is in it may be edited in turn.
        values[key] = copy.deepcopy(NASTY[rng.integers(len(NASTY))])


def edit_array(array, rng):
    """Another value, length, shape or type."""
    kind = rng.integers(5)
    if kind == 0 or not array.size:
        return np.resize(array, int(rng.integers(3 * array.size + 2)))
    if kind == 1:
        return array.reshape(-1, 1) if rng.integers(2) else np.asfortranarray(array[None])
    if kind == 2:
        types = ["<f4", ">f4", "<f8", "<f2", "|i1", "|u1", "<i8", "|b1", "<f4", "<c8", "<U2"]
        with np.errstate(all="ignore"):
            return array.astype(str(rng.choice(types)))
    array = array.copy()
    with np.errstate(all="ignore"):
        value = np.array(NASTY_NUMBERS[rng.integers(len(NASTY_NUMBERS))]).astype(array.dtype)
    array.ravel()[rng.integers(array.size)] = value
    return array


# -- runs -----------------------------------------------------------------------------------


def run(minutes, seed, *, step=1, n_edits=N_EDITS):
    """Try damaged files.

    Parameters
    ----------
    minutes : float
        When to stop at the latest.
    seed : int
        Of the edits.
    step : int, default=1
        Every how manyth bit is flipped.
    n_edits : int, default=20000
        How many edits with right checksums, and how many of each other kind.

    Returns
    -------
    Counts
    """
    end = time.monotonic() + 60 * minutes
    rng = np.random.default_rng(seed)
    models = small_models()
    contents = [bytes(content(model)) for model in models]
    expected = [fingerprint(model) for model in models]
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(folder)
        for tried in _trials(contents, rng, step, n_edits):
            which, damaged, what, may_differ = tried
            trial.load(damaged, expected[which], what, may_differ=may_differ)
            if time.monotonic() > end:
                break
    return trial.counts


def _trials(contents, rng, step, n_edits):
    for which, whole in enumerate(contents):
        yield which, whole, f"file {which}", False
        for bit in range(int(rng.integers(step)), 8 * len(whole), step):
            damaged = bytearray(whole)
            damaged[bit // 8] ^= 1 << bit % 8
            yield which, damaged, f"file {which}, bit {bit}", False
    for i in range(n_edits):
        for edit in (edit_members, edit_archive, edit_meaning):
            which = int(rng.integers(len(contents)))
            what = f"file {which}, {edit.__name__} {i}"
            yield which, edit(contents[which], rng), what, edit is edit_meaning

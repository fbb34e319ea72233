"""Files of compact models taken apart and made by hand, as the format is described."""

import hashlib
import io
import json

import numpy as np
import pytest

from skactprune import save


def content(model):
    """Bytes of the model's file."""
    buffer = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skactprune.deploy.files.write_atomically", lambda _, c: buffer.write(c))
        save(model, "unused")
    return buffer.getvalue()


def parts(model):
    """Metadata and arrays of the model's file, without what only guards them."""
    with np.load(io.BytesIO(content(model)), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    meta = json.loads(arrays.pop("metadata").tobytes())
    del meta["arrays"], meta["digest"]
    return meta, arrays


def described(array):
    array = np.asarray(array)
    digest = hashlib.sha256(array.tobytes()).hexdigest()
    return {"dtype": array.dtype.str, "shape": list(array.shape), "sha256": digest}


def sealed(text):
    """JSON text with its digest, which guards all that comes before."""
    return text[:-1] + f', "digest": "{hashlib.sha256(text.encode()).hexdigest()}"' + "}"


def text_of(meta, arrays, version=2):
    """Metadata as a file of a version has it."""
    if version == 1:
        return json.dumps(meta | {"format_version": 1})
    arrays = {name: described(array) for name, array in arrays.items()}
    return sealed(json.dumps(meta | {"arrays": arrays}))


def write_text(path, text, arrays, write=np.savez_compressed):
    """Make an archive of any text and arrays."""
    with open(path, "wb") as file:
        write(file, metadata=np.frombuffer(text.encode(), np.uint8), **arrays)

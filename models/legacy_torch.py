"""Read tensors from a legacy (before zip files) PyTorch checkpoint with NumPy alone.

It exists so that a 14 MB checkpoint does not need a 2 GB framework, and so that a pickle from a package cannot run
code: only the few names a state dict needs are resolved, everything else is refused.

Layout of such a file: three pickles (magic number, protocol version, system information), the pickled object with
storages as persistent ids, the pickled list of storage keys, then for each key a 64-bit element count and the
raw little-endian numbers. Tensors are views into storages; their strides need not be contiguous.
"""

import collections
import dataclasses
import pickle

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001

STORAGE_TYPES = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}


@dataclasses.dataclass
class Storage:
    """A flat run of numbers; its data stand at the end of the file and are filled in last."""

    dtype: np.dtype
    elements: int
    data: "np.ndarray | None" = None


@dataclasses.dataclass(frozen=True)
class View:
    """A tensor as pickled: a window on a storage, offset and strides in elements."""

    storage: Storage
    offset: int
    shape: tuple
    strides: tuple

    def array(self):
        """The tensor as a contiguous array of its own."""
        if 0 in self.shape:
            return np.zeros(self.shape, self.storage.dtype)
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides))
        if self.offset < 0 or min(self.strides, default=0) < 0 or last >= self.storage.elements:
            raise ValueError(f"a tensor of shape {self.shape} reaches beyond its {self.storage.elements} numbers")
        step = self.storage.dtype.itemsize
        window = np.lib.stride_tricks.as_strided(
            self.storage.data[self.offset :], self.shape, [s * step for s in self.strides], writeable=False
        )
        return np.array(window, order="C")


def _rebuild_tensor_v2(storage, offset, shape, strides, _requires_grad=False, _hooks=None, _metadata=None):
    return View(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(view, _requires_grad=False, _hooks=None):
    return view


ALLOWED = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    **{("torch", name): dtype for name, dtype in STORAGE_TYPES.items()},
}


class _Unpickler(pickle.Unpickler):
    """Resolves the allowed names and persistent ids of storages; refuses the rest."""

    def __init__(self, file):
        super().__init__(file)
        self.storages = {}

    def find_class(self, module, name):
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"the checkpoint asks for {module}.{name}, which is not allowed") from None

    def persistent_load(self, pid):
        kind, dtype, key, _location, elements, view = pid
        if kind != "storage" or view is not None:
            raise pickle.UnpicklingError(f"the checkpoint has a persistent id of kind {kind!r}, expected a storage")
        return self.storages.setdefault(key, Storage(dtype, elements))


def _fill(storages, keys, file):
    for key in keys:
        storage = storages[key]
        count = int.from_bytes(file.read(8), "little")
        raw = file.read(count * storage.dtype.itemsize)
        if count != storage.elements or len(raw) != count * storage.dtype.itemsize:
            raise ValueError(f"storage {key} is cut short or has {count} numbers, expected {storage.elements}")
        storage.data = np.frombuffer(raw, storage.dtype)


def load_state_dict(path):
    """The checkpoint's tensors by name, each a contiguous array."""
    with open(path, "rb") as file:
        magic, protocol = _Unpickler(file).load(), _Unpickler(file).load()
        if magic != MAGIC or protocol != PROTOCOL:
            raise ValueError(f"{path} is not a legacy PyTorch checkpoint")
        _Unpickler(file).load()
        unpickler = _Unpickler(file)
        views = unpickler.load()
        _fill(unpickler.storages, _Unpickler(file).load(), file)
    return {name: view.array() for name, view in views.items()}

"""How long a net trains that may take very many epochs: pruned beside dense."""

from benchmarks.tables import shapes
from benchmarks.tables.shapes import FIELDS as FIELDS
from benchmarks.tables.shapes import answers as answers
from benchmarks.tables.shapes import execute as execute
from benchmarks.tables.shapes import runs as runs
from benchmarks.tables.shapes import tables as tables

FULL = shapes.FULL.but(nets=((100,),), fractions=(0.8,), limits=(1000, 5000))
QUICK = FULL.but(seeds=1, n_tables=2, limits=(1000,))

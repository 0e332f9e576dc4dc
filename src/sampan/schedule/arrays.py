"""The kinds of numpy arrays used here, and what stands for "nowhere"."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

NOWHERE = float("-inf")
"""The score of a node on which a pod cannot run."""

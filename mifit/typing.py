"""Types of arrays: numbers, positions, truth values, anything."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["AnyArray", "Array", "Flags", "Rows"]

Array = npt.NDArray[np.float64]  #: numbers, or level codes
Rows = npt.NDArray[np.int64]  #: positions of rows or columns, sorted where nothing else is said
Flags = npt.NDArray[np.bool_]  #: True or False
AnyArray = npt.NDArray[Any]

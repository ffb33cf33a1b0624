"""As a script: the environment in which numpy, its linear algebra and the C library do without this machine's extras.

Another processor adds up in another order; a test that holds here by the last bits alone fails in that environment.
"""

import os
import platform

import numpy as np


def other_instructions():
    """Variables and their values; features are named as this numpy and this processor know them."""
    core = np._core if hasattr(np, "_core") else np.core
    multiarray = core._multiarray_umath
    has = [name for name in multiarray.__cpu_dispatch__ if multiarray.__cpu_features__.get(name)]
    found = {"NPY_DISABLE_CPU_FEATURES": ",".join(has)} if has else {}
    if platform.machine() in ("x86_64", "AMD64"):
        found["OPENBLAS_CORETYPE"] = "Nehalem"  # without AVX and FMA; any processor of today can run it
        # Logarithms and exponentials of the C library; names that a version does not know are passed over.
        found["GLIBC_TUNABLES"] = "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX2_Usable,-FMA_Usable"
    return found


if __name__ == "__main__":
    os.write(1, "\n".join(f"{name}={value}" for name, value in other_instructions().items()).encode() + b"\n")

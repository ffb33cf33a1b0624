# %% [markdown]
# # Many columns
# Measurements of materials: 80 correlated numbers on 1,500 samples, each with its own gaps, and one property to
# explain by three of them. No formula of 80 terms is ever written: columns outside the analysis are auxiliaries, and
# mifit takes those that help.

# %%
import time

import numpy as np
import pandas as pd

import mifit

rng = np.random.default_rng(11)
n, p = 1500, 80
factors = rng.normal(size=(n, 6))
values = factors @ rng.normal(size=(6, p)) + rng.normal(size=(n, p))
df = pd.DataFrame(values, columns=[f"m{j:02d}" for j in range(p)])
df["hardness"] = 2 + df["m00"] - 0.5 * df["m01"] + 0.3 * df["m00"] * df["m02"] + rng.normal(size=n)
df.loc[:, "m00":"m79"] = df.loc[:, "m00":"m79"].mask(rng.random((n, p)) < 0.1)

# %% [markdown]
# Plain chained equations fill everything, by matching:

# %%
started = time.perf_counter()
everything = df.mice.impute(m=2, iterations=3, rng=1)
print(everything[0].isna().sum().sum(), "missing values left;", len(everything.plan.variables), "columns")

# %% [markdown]
# With the analysis declared, its interaction is safe:

# %%
imp = df[["hardness", "m00", "m01", "m02", "m03", "m04"]].mice.impute("hardness ~ m00 * m02 + m01", m=10, rng=1)
print(imp.fit().to_frame()[["estimate", "std_error", "fmi"]].round(3))

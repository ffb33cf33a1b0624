# %% [markdown]
# # Imputations made in R
# `from_r.csv` holds five completed sets by R's mice, as `complete(imp, "long", include = TRUE)` writes them
# (`from_r.R`). They are fitted and pooled here; what is congenial with them is unknown, and the summary says so.

# %%
from pathlib import Path

import pandas as pd

import mifit

here = Path(__file__).parent if "__file__" in globals() else Path()
imp = mifit.from_long(pd.read_csv(here / "from_r.csv"))
print(imp)

# %%
res = imp.fit("chl ~ age + bmi")
print(res.summary())

# %% [markdown]
# And back: the long format again, for R.

# %%
print(imp.to_long().head())

# %% [markdown]
# # An interaction and a spline with missing values in them
# Ozone on wind and temperature in New York, 1973. Wind matters more on hot days, and the effect of temperature is
# curved. Ozone itself and the radiation have missing values; we make some more in the wind, so that the interaction has
# to be imputed as well.

# %%
import numpy as np

import mifit

air = mifit.datasets.load("airquality").rename(columns={"Solar.R": "Solar"})
rng = np.random.default_rng(1)
air["Wind"] = air["Wind"].mask(rng.random(len(air)) < 0.2)

# %% [markdown]
# Both analyses are declared at once; the imputations are drawn under the union of their terms.

# %%
crossed, curved = "np.log(Ozone) ~ Wind * Temp + Solar", "np.log(Ozone) ~ Wind + bs(Temp, df=4) + Solar"
positive = dict.fromkeys(("Wind", "Solar"), (0, None))  # the logarithm of ozone keeps it above 0
options = {"auxiliary": "ignore", "methods": {"Month": "leave", "Day": "leave"}, "bounds": positive}
imp = air.mice.impute([crossed, curved], m=20, rng=1, **options)
print(imp.plan)

# %%
res = imp.fit(crossed)
print(res.summary())

# %% [markdown]
# The knots of the spline are fixed once, for all imputations, the fits and the predictions.

# %%
spline = imp.fit(curved)
print(spline.wald_test_terms().round(4))
days = air.head(3).assign(Wind=10.0, Temp=[60, 75, 90], Solar=200.0)
print(spline.get_prediction(days).summary_frame().round(2))

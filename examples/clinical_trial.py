# %% [markdown]
# # A trial with a skewed baseline
# Severity at baseline is close to exponential and missing for a third of the patients, more often for the young. A
# normal model for it would bias the *other* coefficients; mifit sees the skewness and draws it on a Box-Cox scale.

# %%
import numpy as np
import pandas as pd

import mifit

rng = np.random.default_rng(7)
n = 1200
trial = pd.DataFrame({"age": rng.normal(50, 12, n).round(), "gender": rng.choice(["female", "male"], n)})
trial["bmi"] = (26 + 0.05 * (trial["age"] - 50) + rng.normal(0, 4, n)).round(1)
trial["severity"] = rng.exponential(np.exp(0.02 * (trial["age"] - 50)))
trial["treated"] = rng.integers(0, 2, n).astype(bool)
trial["outcome"] = (
    10 - 2 * trial["treated"] + 1.5 * trial["severity"] - 0.8 * trial["treated"] * trial["severity"]
    + 0.05 * trial["bmi"] + rng.normal(0, 2, n)
)  # fmt: skip
trial["severity"] = trial["severity"].mask(rng.random(n) < 1 / (1 + np.exp((trial["age"] - 40) / 10)))
trial["bmi"] = trial["bmi"].mask(rng.random(n) < 0.1)

# %%
imp = trial.mice.impute("outcome ~ treated * severity + age + gender + bmi", m=20, rng=1)
print(imp.plan)

# %% [markdown]
# The truth: treatment -2, severity 1.5, their product -0.8.

# %%
res = imp.fit()
print(res.summary())
print(res.t_test("treated[T.True] + 2 * treated[T.True]:severity"))  # effect at severity 2

# %% [markdown]
# # Rating scales
# Items of a questionnaire, answered from 1 (never) to 5 (always), some left blank. As ordered categories they are
# drawn by proportional odds; as covariates they keep their order. The outcome, a clinician's global impression of
# four levels, is analysed by an ordinal model.

# %%
import numpy as np
import pandas as pd

import mifit

rng = np.random.default_rng(3)
n = 500
burden = rng.normal(size=n)
levels = ["never", "rarely", "sometimes", "often", "always"]


def item(loading, spread=1.0):
    """A rating that follows the burden."""
    return np.digitize(loading * burden + rng.normal(0, spread, n), [-1.2, -0.3, 0.5, 1.4])


df = pd.DataFrame({"sleep": item(0.8), "worry": item(1.0), "appetite": item(0.5)})
latent = 0.5 * df["sleep"] + 0.6 * df["worry"] + 0.2 * df["appetite"] + rng.logistic(size=n)
df["impression"] = pd.Categorical.from_codes(
    np.digitize(latent, [1.5, 3.0, 4.5]), ["normal", "mild", "moderate", "severe"], ordered=True
)
for name in ("sleep", "worry", "appetite"):
    df[name] = df[name].mask(rng.random(n) < 0.15) + 1  # 1 to 5, and missing values
df["education"] = pd.Categorical(rng.choice(["basic", "middle", "high"], n), ["basic", "middle", "high"], ordered=True)
df["education"] = df["education"].mask(rng.random(n) < 0.1)

# %%
imp = df.mice.impute("impression ~ sleep + worry + appetite + education", model="ordinal", distr="logit", m=20, rng=1)
print(imp.plan)

# %% [markdown]
# Proportional odds ratios per step of the scale; the cut points are pooled too, and stay in order.

# %%
res = imp.fit()
print(res.to_frame(exponentiate=True)[["estimate", "conf_low", "conf_high", "fmi"]].round(2))

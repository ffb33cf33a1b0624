# %% [markdown]
# # Odds ratios from incomplete records
# Which patients with primary biliary cholangitis have an enlarged liver? A logistic regression with incomplete
# covariates and an incomplete outcome: 106 of 418 were only followed and have neither.

# %%
import tempfile
from pathlib import Path

import mifit

pbc = mifit.datasets.load("pbc")
pbc = pbc[["hepato", "age", "sex", "bili", "albumin", "platelet", "stage", "spiders"]]
pbc["hepato"] = pbc["hepato"].map({0: "no", 1: "yes"})

# %% [markdown]
# `spiders` is not in the analysis; as an auxiliary it informs the missing values of the outcome.

# %%
imp = pbc.mice.impute("hepato ~ age + sex + np.log(bili) * albumin + stage", m=20, rng=1)
print(imp.plan)

# %%
res = imp.fit()
print(res.summary(exponentiate=True))
print(res.wald_test("np.log(bili) = np.log(bili):albumin = 0"))

# %% [markdown]
# Odds ratios are hard to feel; the average change in probability is not.

# %%
print(res.marginal_effects(["age", "stage"]).round(4).T)
print(res.auc().round(3))

# %% [markdown]
# Everything that a reader may ask stands on one page, which needs no network. Pictures in it need matplotlib.

# %%
page = imp.report(Path(tempfile.mkdtemp()) / "hepatomegaly.html", res, also=[imp.alternatives()])
print(f"the report: {page}")

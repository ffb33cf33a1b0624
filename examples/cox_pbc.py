# %% [markdown]
# # A Cox regression with incomplete covariates
# Survival of 418 patients with primary biliary cholangitis; laboratory values are missing for a quarter of them. A
# transplant counts as censored here. Covariates are drawn from their own models weighed by the partial likelihood,
# the baseline hazard included.

# %%
import mifit

pbc = mifit.datasets.load("pbc")
pbc["dead"] = pbc["status"] == 2
keep = ["time", "dead", "age", "edema", "bili", "albumin", "protime", "copper"]
pbc = pbc[keep]
print(pbc.mice.pattern())

# %%
formula = "time ~ age + edema + np.log(bili) + np.log(albumin) + np.log(protime) + np.log(copper)"
imp = pbc.mice.impute(formula, model="phreg", status="dead", m=20, rng=1)
print(imp.plan)

# %%
res = imp.fit()
print(res.summary())

# %% [markdown]
# Hazard ratios with intervals from the log scale, and what the complete rows alone would have said:

# %%
print(res.to_frame(exponentiate=True)[["estimate", "conf_low", "conf_high", "p_value", "fmi"]].round(3))
print(res.compare(imp.fit(formula.removesuffix(" + np.log(copper)"), model="phreg", status="dead")))

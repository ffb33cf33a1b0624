# %% [markdown]
# # The main job
# Cholesterol on age and body mass of 25 people, 27 values missing, pooled over 20 completed sets.

# %%
import mifit  # gives every DataFrame the accessor .mice

df = mifit.datasets.load("nhanes2")  # or any DataFrame of yours
imp = df.mice.impute("chl ~ age + bmi", m=20, rng=1)  # 20 completed copies, drawn for this analysis
res = imp.fit()  # statsmodels on each of them, pooled
print(res.summary())

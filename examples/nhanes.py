# %% [markdown]
# # The main job
# Cholesterol on age and body mass of 25 people, 27 values missing, pooled over 20 completed sets.

# %%
import mifit

df = mifit.datasets.load("nhanes2")

print(df.mice.plan("chl ~ age + bmi"))  # what will be done to each column, and why; nothing is drawn yet
print()

# %%
imp = df.mice.impute("chl ~ age + bmi", m=20, rng=1)
print(imp)
print()

# %%
res = imp.fit()  # the regression on each of the 20 completed sets, pooled by Rubin's rules
print(res.summary())

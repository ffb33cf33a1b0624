"""Draw the pictures of the documentation anew: ``python docs/pictures.py``."""

from pathlib import Path

import mifit

HERE = Path(__file__).parent / "pictures"
pbc = mifit.datasets.load("pbc")[["albumin", "age", "bili", "hepato", "stage", "chol"]]
imp = pbc.mice.impute("albumin ~ age + np.log(bili) * hepato + chol", m=20, rng=1, bounds={"chol": (100, 2000)})
res = imp.fit()

small = mifit.datasets.load("nhanes2").mice.impute("chl ~ age + bmi", m=20, rng=1).fit()  # the script of the README

air = mifit.datasets.load("airquality")
declared = air.mice.impute("Ozone ~ Temp + Wind + Q('Solar.R')", m=20, rng=1, error_law="declared")

pictures = {
    "readme": small.plot.forest(complete_cases=True).figure,
    "pattern": pbc.mice.plot_pattern().figure,
    "missingness": pbc.mice.missingness().plot("odds").figure,
    "overimputed": declared.check_model().plot("overimputed"),
    "trace": imp.plot.trace(["chol", "np.log(bili):hepato"]),
    "density": imp.plot.density(),
    "strip": imp.plot.strip(["chol", "stage"]),
    "scatter": imp.plot.scatter("bili", "chol").figure,
    "forest": res.plot.forest(complete_cases=True).figure,
    "predictions": res.plot.predictions("bili", by="hepato").figure,
}
for name, figure in pictures.items():
    figure.savefig(HERE / f"{name}.png", dpi=110)

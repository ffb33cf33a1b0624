# Makes from_r.csv: five imputations of nhanes2 by R's mice, in its long format.
library(mice)
imp <- mice(nhanes2, m = 5, seed = 1, printFlag = FALSE)
write.csv(complete(imp, "long", include = TRUE), "from_r.csv", row.names = FALSE, na = "")

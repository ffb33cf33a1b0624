# Firth's penalised likelihood by brglm2: logistic regression on the endometrial cancer data of Heinze and Schemper (2002),
# multinomial regression on two of their columns cut into levels. Run from tests/reference.
library(brglm2)
library(jsonlite)
data(endometrial)
binary <- glm(HG ~ NV + PI + EH, data = endometrial, family = binomial(), method = "brglmFit", type = "AS_mean",
              epsilon = 1e-12, maxit = 1000)
levels <- within(endometrial, grade <- factor(ifelse(HG == 1, "high", ifelse(EH > 1.5, "low thick", "low thin"))))
many <- brmultinom(grade ~ NV + PI, data = levels, type = "AS_mean", ref = 1, epsilon = 1e-12, maxit = 1000)
write.csv(endometrial, "firth/endometrial.csv", row.names = FALSE)
write_json(list(binary = unname(coef(binary)), binary_se = unname(sqrt(diag(vcov(binary)))),
                multinomial = unname(coef(many))), "firth/expected.json", digits = 12, auto_unbox = TRUE)

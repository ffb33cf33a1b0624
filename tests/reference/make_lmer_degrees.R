# Satterthwaite's degrees of freedom by lmerTest, on the data of lme4's random slopes. Run from tests/reference.
library(lmerTest)
library(jsonlite)
data <- read.csv("lmer_slopes/data.csv")
data$w <- sin(data$g)
control <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.1, rhoend = 1e-10, maxfun = 1e5))
figures <- list()
for (case in c("correlated", "small groups", "rooms")) {
  formula <- if (case == "rooms") y ~ x + w + (1 | g) + (1 | room) else y ~ x + w + (1 + x | g)
  m <- lmer(formula, data[data$case == case, ], control = control)
  table <- coef(summary(m))
  figures[[case]] <- list(names = rownames(table), df = unname(table[, "df"]), estimate = unname(table[, "Estimate"]),
                          error = unname(table[, "Std. Error"]))
}
write_json(figures, "lmer_slopes/degrees.json", digits = 12, auto_unbox = TRUE)

# Mixed models with random slopes by lme4, on columns near 0. Run from tests/reference.
library(lme4)
library(jsonlite)
set.seed(20)
of <- function(case, sizes, sd, cor = 0, rooms = 0) {
  g <- rep(seq_along(sizes), sizes)
  x <- round(rnorm(length(g)), 3)
  u <- matrix(rnorm(2 * length(sizes)), ncol = 2) %*% chol(matrix(c(1, cor, cor, 1), 2)) %*% diag(sd)
  room <- g * 3 + sample(0:2, length(g), replace = TRUE)
  y <- 1 + x + u[g, 1] + u[g, 2] * x + rooms * rnorm(max(room))[room] + rnorm(length(g))
  data.frame(case = case, g = g, room = room, x = x, y = round(y, 3))
}
data <- rbind(of("correlated", rep(6, 30), c(1, 0.6), 0.7), of("none", rep(5, 24), c(1, 0.001)),
              of("small groups", rep(c(1, 2, 3, 3, 3), 20), c(1, 0.8), -0.3), of("rooms", rep(9, 20), c(0.8, 0.5), 0.2, 0.9))
control <- lmerControl(optimizer = "bobyqa", calc.derivs = FALSE, check.conv.singular = "ignore",
                       optCtrl = list(rhobeg = 0.1, rhoend = 1e-10, maxfun = 1e5))
figures <- list()
for (case in unique(data$case)) for (reml in c(TRUE, FALSE)) {
  formula <- if (case == "rooms") y ~ x + (1 + x | g) + (1 | room) else y ~ x + (1 + x | g)
  m <- lmer(formula, data[data$case == case, ], REML = reml, control = control)
  figures[[length(figures) + 1]] <- list(
    case = case, reml = reml, loglik = as.numeric(logLik(m)), fixed = unname(fixef(m)), vcov = as.matrix(unname(vcov(m))),
    covariance = matrix(as.numeric(VarCorr(m)$g), 2), room = if (case == "rooms") as.numeric(VarCorr(m)$room),
    residual = sigma(m)^2)
}
write.csv(data, "lmer_slopes/data.csv", row.names = FALSE, quote = FALSE)
write_json(figures, "lmer_slopes/expected.json", digits = 12, auto_unbox = TRUE, null = "null")

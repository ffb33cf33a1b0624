# Generalised mixed models by lme4 and ordinal, on columns near 0. Run from tests/reference.
library(lme4)
library(ordinal)
library(jsonlite)
set.seed(11)
dir.create("glmm", showWarnings = FALSE)
of <- function(case, sizes, sd, slope = 0) {
  g <- rep(seq_along(sizes), sizes)
  n <- length(g)
  x <- round(rnorm(n), 3)
  w <- round(rnorm(length(sizes)), 3)[g]
  t <- round(runif(n, 0.5, 2), 3)
  eta <- -0.4 + 0.8 * x - 0.5 * w + sd * rnorm(length(sizes))[g] + slope * rnorm(length(sizes))[g] * x
  data.frame(case = case, g = g, x = x, w = w, t = t, b = rbinom(n, 1, plogis(eta)), c = rpois(n, t * exp(0.5 * eta)),
             o = as.integer(cut(eta + rlogis(n), c(-Inf, -1.5, 0, 1.2, Inf))))
}
data <- rbind(of("even", rep(8, 40), 1), of("uneven", rep(c(1, 2, 3, 9, 15), 10), 1.6), of("slopes", rep(15, 40), 1, 0.8))
control <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-13, check.conv.grad = "ignore", check.conv.hess = "ignore",
                        optCtrl = list(rhobeg = 0.1, rhoend = 1e-10, maxfun = 1e5))
of_glmer <- function(case, model, nodes, m) list(
  case = case, model = model, nodes = nodes, fixed = unname(fixef(m)), error = unname(sqrt(diag(vcov(m)))),
  covariance = as.numeric(VarCorr(m)$g), loglik = as.numeric(logLik(m)))
of_clmm <- function(case, nodes, m) {
  k <- length(m$alpha)
  order <- c(seq_along(m$beta) + k, seq_len(k))
  list(case = case, model = "ordinal", nodes = nodes, fixed = unname(coef(m)[order]),
       error = unname(sqrt(diag(vcov(m)))[order]), covariance = as.numeric(VarCorr(m)$g), loglik = as.numeric(logLik(m)))
}
figures <- list()
add <- function(one) figures[[length(figures) + 1]] <<- one
for (case in c("even", "uneven")) {
  d <- data[data$case == case, ]
  d$o <- ordered(d$o)
  for (nodes in c(1, 13)) {
    add(of_glmer(case, "logit", nodes, glmer(b ~ x + w + (1 | g), d, binomial, nAGQ = nodes, control = control)))
    add(of_glmer(case, "poisson", nodes,
                 glmer(c ~ x + w + (1 | g) + offset(log(t)), d, poisson, nAGQ = nodes, control = control)))
    add(of_clmm(case, nodes, clmm(o ~ x + w + (1 | g), d, nAGQ = nodes, control = clmm.control(gradTol = 1e-8))))
  }
}
d <- data[data$case == "slopes", ]
d$o <- ordered(d$o)
add(of_glmer("slopes", "logit", 1, glmer(b ~ x + w + (1 + x | g), d, binomial, control = control)))
add(of_glmer("slopes", "poisson", 1, glmer(c ~ x + w + (1 + x | g) + offset(log(t)), d, poisson, control = control)))
add(of_clmm("slopes", 1, clmm(o ~ x + w + (1 + x | g), d, control = clmm.control(gradTol = 1e-8))))
write.csv(data, "glmm/data.csv", row.names = FALSE, quote = FALSE)
write_json(figures, "glmm/expected.json", digits = 12, auto_unbox = TRUE)

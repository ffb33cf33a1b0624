# Time R smcfcs on an interaction frame. Run as: Rscript peer_smcfcs.R FILE.csv M ITERATIONS; prints seconds as JSON.
# The columns say which analysis: status d means Cox, an outcome of two values logistic, else linear.
suppressMessages({library(smcfcs); library(survival)})
asked <- commandArgs(TRUE)
frame <- read.csv(asked[1])
frame$product <- frame$x1 * frame$x2
kind <- if ("d" %in% names(frame)) "coxph" else if (length(unique(frame$y)) == 2) "logistic" else "lm"
left <- if (kind == "coxph") "Surv(t, d)" else "y"
method <- c(x1 = "norm", x2 = "logreg", product = "x1*x2")[names(frame)]
method[is.na(method)] <- ""
set.seed(1)
spent <- system.time(suppressWarnings(imp <- smcfcs(
  frame, smtype = kind, smformula = paste(left, "~ x1 + x2 + product + z"), method = unname(method),
  m = as.integer(asked[2]), numit = as.integer(asked[3]), noisy = FALSE
)))
peak <- sum(gc()[, 6])  # MB, all of R
formula <- as.formula(paste(left, "~ x1 * x2 + z"))
fit <- function(d) switch(kind, lm = lm(formula, d), logistic = glm(formula, binomial, d), survival::coxph(formula, d))
fitted <- system.time({
  fits <- lapply(imp$impDatasets, fit)
  estimates <- sapply(fits, coef)
  within <- rowMeans(sapply(fits, function(f) diag(vcov(f))))
  cbind(rowMeans(estimates), sqrt(within + (1 + 1 / length(fits)) * apply(estimates, 1, var)))  # Rubin's rules
})
cat(sprintf('{"impute": %.3f, "job": %.3f, "peak": %.0f}\n', sum(spent[1:2]), sum(spent[1:2] + fitted[1:2]), peak))

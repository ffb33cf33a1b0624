# Impute simulated frames by R mice (defaults) or R smcfcs, analyse and pool them by Rubin's rules. See simulation.py.
# Run as: Rscript peers_simulation.R FOLDER; reads FOLDER/spec.json and FOLDER/0.csv, 1.csv, ...; writes FOLDER/found.csv.
suppressMessages({library(mice); library(smcfcs); library(survival); library(splines)})
folder <- commandArgs(TRUE)[1]
spec <- jsonlite::read_json(file.path(folder, "spec.json"), simplifyVector = TRUE)

read <- function(path) {
  frame <- read.csv(path, na.strings = "")
  for (name in names(spec$levels))
    frame[[name]] <- factor(frame[[name]], spec$levels[[name]], ordered = name %in% spec$ordered)
  frame
}

completed <- function(frame) {
  if (spec$package == "mice") return(complete(mice(frame, m = spec$m, printFlag = FALSE), "all"))
  frame <- frame[setdiff(names(frame), spec$drop)]
  method <- setNames(rep("", ncol(frame)), names(frame))
  method[setdiff(spec$holes, spec$drop)] <- "norm"
  method[names(spec$method)] <- unlist(spec$method)
  factors <- names(method)[method %in% c("logreg", "mlogit", "podds")]
  for (name in factors) if (!is.factor(frame[[name]])) frame[[name]] <- factor(frame[[name]])
  back <- function(one) {
    for (name in setdiff(factors, names(spec$levels))) one[[name]] <- as.numeric(as.character(one[[name]]))
    one
  }
  lapply(smcfcs(frame, spec$smtype, spec$smformula, unname(method), m = spec$m, noisy = FALSE)$impDatasets, back)
}

# Rubin's rules for scalars with the degrees of freedom of Barnard & Rubin (1999); infinite where the fit has none
pooled <- function(fits) {
  estimate <- sapply(fits, function(f) f$estimate[spec$names])
  variance <- sapply(fits, function(f) f$variance[spec$names])
  estimate <- matrix(estimate, length(spec$names)); variance <- matrix(variance, length(spec$names))
  m <- ncol(estimate); within <- rowMeans(variance); between <- apply(estimate, 1, var)
  total <- within + (1 + 1 / m) * between
  share <- (1 + 1 / m) * between / total
  rest <- fits[[1]]$rest
  df <- 1 / (share^2 / (m - 1) + if (is.finite(rest)) (rest + 3) / ((1 - share) * rest * (rest + 1)) else 0)
  half <- qt(0.975, df) * sqrt(total)
  data.frame(coefficient = spec$names, estimate = rowMeans(estimate), low = rowMeans(estimate) - half,
             high = rowMeans(estimate) + half)
}

analysed <- function(d) {
  fit <- eval(parse(text = spec$analysis), list(d = d))
  if (is.list(fit) && !is.null(fit$variance)) return(c(fit, rest = Inf))
  variance <- diag(as.matrix(vcov(fit)))
  estimate <- coef(fit)
  if (is.matrix(estimate)) {
    names <- as.vector(t(outer(seq_len(nrow(estimate)), colnames(estimate), paste, sep = ":")))
    estimate <- setNames(as.vector(t(estimate)), names); names(variance) <- names
  }
  names(estimate) <- gsub(" ", "", names(estimate)); names(variance) <- gsub(" ", "", names(variance))
  list(estimate = estimate, variance = variance, rest = if (inherits(fit, "lm") && !inherits(fit, "glm")) fit$df.residual else Inf)
}

# The mean of a spline at some places, and the coefficient of z
spline_at <- function(d) {
  fit <- lm(y ~ bs(x, df = 4) + z, d)
  at <- suppressWarnings(predict(fit, data.frame(x = c(-1, 0, 1, 2), z = 0), se.fit = TRUE))
  names <- c(paste("at x =", c(-1, 0, 1, 2)), "z")
  list(estimate = setNames(c(at$fit, coef(fit)["z"]), names), variance = setNames(c(at$se.fit^2, vcov(fit)["z", "z"]), names))
}

found <- list()
for (path in list.files(folder, "^[0-9]+\\.csv$", full.names = TRUE)) {
  number <- as.integer(sub("\\.csv$", "", basename(path)))
  set.seed(number + 1)
  fits <- lapply(suppressWarnings(completed(read(path))), function(d) suppressWarnings(analysed(d)))
  found[[path]] <- cbind(frame = number, pooled(fits))
}
write.csv(do.call(rbind, found), file.path(folder, "found.csv"), row.names = FALSE)

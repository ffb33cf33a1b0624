# Time R smcfcs on an interaction frame. Run as: Rscript peer_smcfcs.R FILE.csv M ITERATIONS; prints seconds as JSON.
suppressMessages(library(smcfcs))
asked <- commandArgs(TRUE)
frame <- read.csv(asked[1])
frame$product <- frame$x1 * frame$x2
set.seed(1)
spent <- system.time(suppressWarnings(smcfcs(
  frame, smtype = "lm", smformula = "y ~ x1 + x2 + product + z", method = c("", "norm", "logreg", "", "x1*x2"),
  m = as.integer(asked[2]), numit = as.integer(asked[3]), noisy = FALSE
)))
cat(sprintf('{"impute": %.3f}\n', sum(spent[1:2])))

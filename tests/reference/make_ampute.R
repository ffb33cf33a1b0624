# Shares of each pattern and the weighted sums of the rows that mice::ampute deletes, mean of many runs. Run from tests/reference.
suppressMessages(library(mice))
library(jsonlite)
set.seed(21)
n <- 1200
a <- rexp(n); b <- 0.5 * a + rnorm(n); c <- 0.3 * a - 0.6 * b + rnorm(n)
data <- round(data.frame(a, b, c), 3)
patterns <- rbind(c(0, 1, 1), c(1, 0, 0), c(1, 1, 0))
weights <- list(MAR = rbind(c(0, 1, 1), c(1, 0, 0), c(2, -1, 0)), MNAR = rbind(c(1, 0, 0), c(0, 1, 2), c(0, 0, 1)))
runs <- 200
figures <- list()
add <- function(mech, type, odds, prop, bycases) {
  kept <- replicate(runs, {
    made <- suppressWarnings(ampute(data, prop = prop, patterns = patterns, freq = c(0.5, 0.2, 0.3), mech = mech,
      weights = if (mech == "MCAR") NULL else weights[[mech]], type = if (is.null(odds)) type else NULL,
      cont = is.null(odds), odds = if (is.null(odds)) NULL else rbind(odds, odds, odds), bycases = bycases))
    gone <- is.na(made$amp)
    one <- function(k) {
      rows <- rowSums(gone == matrix(patterns[k, ] == 0, n, 3, byrow = TRUE)) == 3
      w <- if (mech == "MCAR") c(1, 1, 1) else weights[[mech]][k, ]
      score <- as.vector(scale(as.matrix(data)) %*% w)
      c(mean(rows), mean(score[rows]), sd(score[rows]))
    }
    c(mean(rowSums(gone) > 0), one(1), one(2), one(3))
  })
  figures[[length(figures) + 1]] <<- list(mechanism = mech, type = type, odds = odds, share = prop,
    by = if (bycases) "rows" else "cells", mean = rowMeans(kept), se = apply(kept, 1, sd) / sqrt(runs))
}
for (type in c("RIGHT", "LEFT", "MID", "TAIL")) add("MAR", type, NULL, 0.4, TRUE)
add("MNAR", "RIGHT", NULL, 0.3, TRUE)
add("MCAR", "RIGHT", NULL, 0.3, TRUE)
add("MAR", "RIGHT", c(1, 2, 4), 0.3, TRUE)
add("MAR", "TAIL", NULL, 0.15, FALSE)
write.csv(data, "ampute/data.csv", row.names = FALSE, quote = FALSE)
write_json(figures, "ampute/expected.json", digits = 8, auto_unbox = TRUE, null = "null")

# Time R mice with its default methods. Run as: Rscript peer_mice.R FILE.csv M ITERATIONS [FORMULA [KEYWORDS]]; prints seconds as JSON.
suppressMessages(library(mice))
asked <- commandArgs(TRUE)
frame <- read.csv(asked[1], stringsAsFactors = TRUE)
for (name in grep("^o", names(frame), value = TRUE)) frame[[name]] <- ordered(frame[[name]])
spent <- system.time(
  imp <- mice(frame, m = as.integer(asked[2]), maxit = as.integer(asked[3]), printFlag = FALSE, seed = 1)
)
peak <- sum(gc()[, 6])  # MB, all of R
formula <- as.formula(if (length(asked) > 3) asked[4] else "x0 ~ x1 + x2")
fit <- if (length(asked) > 4 && grepl("logit", asked[5])) function(d) glm(formula, binomial, d) else function(d) lm(formula, d)
fitted <- system.time(summary(pool(as.mira(lapply(complete(imp, "all"), fit)))))
cat(sprintf('{"impute": %.3f, "job": %.3f, "peak": %.0f}\n', sum(spent[1:2]), sum(spent[1:2] + fitted[1:2]), peak))

# Time R mice with its default methods. Run as: Rscript peer_mice.R FILE.csv M ITERATIONS; prints seconds as JSON.
suppressMessages(library(mice))
asked <- commandArgs(TRUE)
frame <- read.csv(asked[1], stringsAsFactors = TRUE)
for (name in grep("^o", names(frame), value = TRUE)) frame[[name]] <- ordered(frame[[name]])
spent <- system.time(mice(frame, m = as.integer(asked[2]), maxit = as.integer(asked[3]), printFlag = FALSE, seed = 1))
peak <- sum(gc()[, 6])  # MB, all of R
cat(sprintf('{"impute": %.3f, "peak": %.0f}\n', sum(spent[1:2]), peak))

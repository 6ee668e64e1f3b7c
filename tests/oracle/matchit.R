# Made the values in tests/oracle/test_matchit.py, with R 4.2.2 and MatchIt 4.5.1:
#     Rscript tests/oracle/matchit.R ../shared/oracles/did/panel_seed20240101.csv
# One year, 2005; treated are the 75 cities of the highest pop / sd(pop) + er / sd(er), and er is left out of the match, so that
# groups differ and overlap. Printed is how often each control is matched, and the first scores.
library(MatchIt)
panel <- read.csv(commandArgs(trailingOnly = TRUE)[1])
year <- panel[panel$year == 2005, ]
year <- year[order(year$city), ]
rownames(year) <- year$city
year$ever <- as.integer(rank(-(year$pop / sd(year$pop) + year$er / sd(year$er))) <= 75)
model <- ever ~ pop + lnpgdp + gov + hc + fdi

fit <- glm(model, data = year, family = binomial, control = glm.control(epsilon = 1e-14, maxit = 100))
year$score <- fitted(fit)
year$index <- predict(fit)

# With a vector of scores MatchIt 4.5.1 misses nearest controls (compare the lines "vector" and "brute force"); with a matrix of
# distances it does not. A matrix leaves the order to the data, so those are sorted.
show <- function(name, on = "score", order_by = year$city, inside = rep(TRUE, nrow(year)), ...) {
  data <- year[order(order_by), ][inside[order(order_by)], ]
  apart <- abs(outer(data[data$ever == 1, on], data[data$ever == 0, on], "-"))
  found <- matchit(model, data = data, method = "nearest", distance = apart, std.caliper = FALSE, ...)
  tell(name, found$match.matrix)
}

tell <- function(name, chosen) {
  times <- table(as.integer(chosen[!is.na(chosen)]))
  cat(name, ": treated ", sum(rowSums(!is.na(chosen)) > 0), "\n", sep = "")
  cat(paste0("    ", paste0(names(times), ": ", times, collapse = ", ")), "\n")
}

cat("MatchIt", as.character(packageVersion("MatchIt")), R.version.string, "\n")
cat("logit", format(coef(fit), digits = 15), "\n")
cat("scores", format(head(year$score), digits = 15), "\n")
one <- year[year$ever == 1, ]
other <- year[year$ever == 0, ]
tell("vector", matchit(model, data = year, distance = year$score, replace = TRUE)$match.matrix)
tell("brute force", matrix(other$city[apply(abs(outer(one$score, other$score, "-")), 1, which.min)]))
show("nearest_1", replace = TRUE)
show("nearest_4", replace = TRUE, ratio = 4)
show("once_ascending", order_by = year$score, replace = FALSE)
show("once_descending_2", order_by = -year$score, replace = FALSE, ratio = 2)
show("caliper", replace = TRUE, caliper = 0.002)
show("caliper_3", replace = TRUE, caliper = 0.005, ratio = 3)
show("caliper_sd_index", on = "index", order_by = -year$score, replace = FALSE, caliper = 0.2 * sd(year$index))
show("common", replace = TRUE, inside = year$ever == 0 | (year$score >= min(other$score) & year$score <= max(other$score)))
tell("mahalanobis_2", matchit(model, data = year, distance = "mahalanobis", replace = TRUE, ratio = 2)$match.matrix)
cat("distances", format(mahalanobis_dist(model, data = year)[1, 1:4], digits = 15), "\n")

# What R's package survey makes of weights by calibration and raking.
#
#     Rscript benchmarks/peers/calibration_golden.R tests/golden      (Debian: r-base-core, r-cran-survey 4.1, r-cran-mass)
#
# 400 units with uneven weights, two classes and an amount with a mass at zero. Targets move every margin by some
# percent. One column of calibrated weights per distance and bounds.
suppressPackageStartupMessages(library(survey))
RNGversion("4.2.2")
set.seed(19920101)
folder <- commandArgs(trailingOnly = TRUE)[1]
N <- 400
d <- data.frame(w = round(rgamma(N, 2, 1 / 500) + 50, 2), sex = sample(1:2, N, TRUE),
                region = sample(1:4, N, TRUE, c(.4, .3, .2, .1)))
d$income <- ifelse(runif(N) < .25, 0, round(rlnorm(N, 10, 1)))
d$sex <- factor(d$sex)
d$region <- factor(d$region)
design <- svydesign(~1, weights = ~w, data = d)
# as model matrices have it: all units, sex 2, regions 2 to 4, income
totals <- colSums(model.matrix(~sex + region + income, d) * d$w) * c(1.03, 1.06, 0.95, 1.08, 1.04, 1.12)
fit <- function(calfun, ...) {
  weights(calibrate(design, ~sex + region + income, totals, calfun = calfun, epsilon = 1e-12, maxit = 500, ...))
}
d$linear <- fit("linear")
d$linear_bounded <- fit("linear", bounds = c(0.9, 1.2))
d$raking <- fit("raking")
d$raking_bounded <- fit("raking", bounds = c(0.9, 1.2))
d$logit <- fit("logit", bounds = c(0.8, 1.4))
# raking of two margins: `rake` fits them in turn until they hold
all <- totals[["(Intercept)"]]
sex <- data.frame(sex = factor(1:2), Freq = c(all - totals[["sex2"]], totals[["sex2"]]))
parts <- totals[c("region2", "region3", "region4")]
region <- data.frame(region = factor(1:4), Freq = c(all - sum(parts), parts))
raked <- rake(design, list(~sex, ~region), list(sex, region), control = list(maxit = 1000, epsilon = 1e-9))
d$margins <- weights(raked)
write.csv(format(d, digits = 15, trim = TRUE), file.path(folder, "calibration_weights.csv"), row.names = FALSE, quote = FALSE)
write.csv(data.frame(name = names(totals), total = format(totals, digits = 15, trim = TRUE)),
          file.path(folder, "calibration_totals.csv"), row.names = FALSE, quote = FALSE)

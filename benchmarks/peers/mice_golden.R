# What R's mice draws for a fusion: donors and receivers stacked, the targets y1 and y2 missing for all receivers.
#
#     Rscript benchmarks/peers/mice_golden.R tests/golden       (Debian: r-base-core, r-cran-mice 3.15.0)
#
# The pattern is monotone: y1 is imputed from x1 and x2, y2 from x1, x2 and y1, in one pass. For each of 200 implicates
# the figures below are taken over the receivers; the file keeps their mean and their variance between implicates.
# Two studies: x1 is one of five classes, and x1 is a number. Receivers' x1 is distributed otherwise than donors'.
suppressPackageStartupMessages(library(mice))
RNGversion("4.2.2")
folder <- commandArgs(trailingOnly = TRUE)[1]
M <- 200
N <- 1000

make <- function(study, side) {
  shift <- if (side == "receiver") 0.3 else 0
  number <- rnorm(N, shift)
  class <- sample(1:5, N, replace = TRUE, prob = 5 - abs(1:5 - 3 - 3 * shift))
  x2 <- rbinom(N, 1, 0.4)
  x1 <- if (study == "classes") c(-1.2, -0.9, 0.3, 0.5, 1.3)[class] else round(number, 4)
  y1 <- round(1 + 2 * x1 - x2 + rnorm(N, sd = 1.5), 4)
  y2 <- round(0.5 + 0.8 * y1 - 0.5 * x1 + rnorm(N), 4)
  if (side == "receiver") y1 <- y2 <- NA
  data.frame(study, x1, x2, y1, y2)
}
set.seed(20240611)
all <- NULL
for (study in c("classes", "line")) for (side in c("donor", "receiver")) all <- rbind(all, make(study, side))
write.csv(all, file.path(folder, "mice_fusion.csv"), row.names = FALSE, quote = FALSE, na = "")

figures <- function(d) {
  # slopes on the numbers that stand for the classes, too
  d$x1 <- as.numeric(as.character(d$x1))
  one <- coef(lm(y1 ~ x1 + x2, d))
  two <- coef(lm(y2 ~ y1 + x1 + x2, d))
  out <- c(one["x1"], one["x2"], two["y1"], two["x1"])
  names(out) <- c("y1 on x1", "y1 on x2", "y2 on y1", "y2 on x1")
  for (y in c("y1", "y2")) {
    q <- quantile(d[[y]], c(.05, .5, .95))
    own <- c(mean(d[[y]]), var(d[[y]]), q)
    names(own) <- paste(y, c("mean", "variance", "q05", "q50", "q95"))
    out <- c(out, own)
  }
  out
}

columns <- c("x1", "x2", "y1", "y2")
uses <- matrix(0, 4, 4, dimnames = list(columns, columns))
uses["y1", c("x1", "x2")] <- 1
uses["y2", c("x1", "x2", "y1")] <- 1
rows <- NULL
for (study in c("classes", "line")) for (method in c("norm", "pmm")) {
  both <- all[all$study == study, columns]
  if (study == "classes") both$x1 <- factor(both$x1)
  made <- mice(both, m = M, method = c("", "", method, method), predictorMatrix = uses, maxit = 1, seed = 1,
               printFlag = FALSE)
  each <- sapply(1:M, function(i) figures(complete(made, i)[(N + 1):(2 * N), ]))
  rows <- rbind(rows, data.frame(study, method, figure = rownames(each), m = M, mean = signif(rowMeans(each), 10),
                                 between = signif(apply(each, 1, var), 10)))
}
write.csv(rows, file.path(folder, "mice_fusion_figures.csv"), row.names = FALSE, quote = FALSE)

"""What others would say of the same readings: three rules that compare before with after.

Each takes windows as arrays (missions, samples), lower is better, and returns whether it calls
the repair a success.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import mannwhitneyu, norm


def single_reading(trigger: np.ndarray, post: np.ndarray) -> np.ndarray:
    """The reading that raised the alarm against the first one afterwards: any fall is success."""
    return post[:, 0] < trigger


def mann_whitney(pre: np.ndarray, post: np.ndarray, alpha: float = 0.05) -> np.ndarray:
    """One-sided Mann-Whitney test on the adjacent windows, samples taken for independent."""
    return mannwhitneyu(post, pre, alternative="less", axis=1).pvalue < alpha


def kayenta(pre: np.ndarray, post: np.ndarray, confidence: float = 0.98) -> np.ndarray:
    """Kayenta's metric rule, off-label with before as control and after as experiment.

    "Low" where the confidence interval of the Hodges-Lehmann shift lies below −0.25 times its
    size (MannWhitneyClassifier.scala, tolerance 0.25; ranks as R's `wilcox.test` takes them).
    """
    shifts = np.sort((post[:, :, None] - pre[:, None, :]).reshape(len(pre), -1), axis=1)
    n, m = post.shape[1], pre.shape[1]
    half = norm.ppf((1 + confidence) / 2) * np.sqrt(n * m * (n + m + 1) / 12)
    rank = max(int(np.floor(n * m / 2 - half)), 0)
    return shifts[:, n * m - 1 - rank] < -0.25 * np.abs(np.median(shifts, axis=1))

"""Commands that measure: the judge against simulated truths, and how long it takes."""

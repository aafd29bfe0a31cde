"""The live data plans: totals per agreement and billing period, thresholds as they are crossed, periods that close."""

"""Data plans: billing periods, thresholds and their events, as both layers count and judge them."""

"""Billing as both layers know it: the zone of its months, and amounts as people read them."""

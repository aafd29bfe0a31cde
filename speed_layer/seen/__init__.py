"""The event ids that were counted, and which records of a micro-batch repeat one of them."""

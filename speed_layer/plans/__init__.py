"""The live query of the data plans: ``query`` is its entry, ``counting`` names the steps of a micro-batch."""

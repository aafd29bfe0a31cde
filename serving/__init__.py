"""The serving layer: what people and programs read, and how it gets there."""

"""Invoices as people read them, and the proof of each of their lines."""

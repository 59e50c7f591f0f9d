"""Entries, events and time become planned sends: one profile's way through a store's flows."""

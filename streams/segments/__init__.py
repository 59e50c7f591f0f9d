"""Segments: events and time -> entered | exited.

values      tests of one value, property filters, the value at a path
features    what an event leaves behind in a row: the least that keeps every leaf exact
windows     the answers of leaves that look at features: (holds, next flip)
leaves      the answers of all other leaves; affinity, dates, newest, places, sequences: of a kind
conditions  a condition -> closures; all, any, none
membership  which segments to look at again, and what changed
"""

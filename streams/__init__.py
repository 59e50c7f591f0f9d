"""The core: what the stream means. Pure functions, station by station, in the order of the path.

ingest       store JSON -> event | rejected
identity     identifiers -> profile id; what an address may receive
profile      step.py: what a record does to one person; composes the rest, in this order:
consent        what an address may receive, as a join; suppression
segments       events, time -> entered | exited
flows          entries, events, time -> planned sends
sends          planned send -> deliver | hold | drop
definitions  what a store writes -> types -> a compiled program
places       where a postal code is
attribution  touches + conversion -> credit

core         what all stations have in common: a step, its outputs, the shape of a station
versions     what is newer than this code
ids          ids derived from causes
money, instants   exact amounts and RFC 3339 text
traits       which of two words about a trait counts, since when a value is held
rounds       the order in which a partition applies what it reads
replay       the whole path in memory over a recorded log
"""

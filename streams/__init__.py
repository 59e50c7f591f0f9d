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
intake       what a partition of identity or profile reads -> its next transaction
passing      the same for ingest: what was read is passed on with the ticks
rounds       the order in which a partition applies what it reads
apply        a slice of a round, timers merged in -> outputs, changed rows
published    definitions and stops, as a partition has them
visits       when rows are visited that new definitions concern
retell       one person's history once more, with what flows did on the way
replay       the whole path in memory over a recorded log
grid         rounds for a history without ticks
memory_backfill   the back-fill in memory, for the replay
lists        whether a profile is on a list, and since when
traits       which of two words about a trait counts, since when a value is held
ids          ids derived from causes
money, instants   exact amounts and RFC 3339 text
versions     what is newer than this code
"""

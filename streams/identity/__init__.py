"""Which profile is this, and what may this address receive?

In:    events keyed by their strongest identifier (ingest), links and consent (other rows of this
       station), what the profiles have agreed on (profile).
Out:   events with their profile id, links, consent of addresses.
State: one row an identifier (`IdentityRow`).

keys   the key of an identifier's row
step   what a record does to one identifier
"""

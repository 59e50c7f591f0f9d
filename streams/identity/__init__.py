"""Which profile is this, and what may this address receive?

In:    events keyed by their strongest identifier (ingest), links and consent (other rows of this
       station), what the profiles have agreed on (profile).
Out:   events with their profile id, links, merges that are asked for, consent of addresses.
State: one row an identifier (`IdentityRow`).

keys       the key of an identifier's row
rules      what a store's definitions say to this station
addresses  the consent an address has, and the profiles that hold it
links      what identifiers say to each other: link, hand over, forget, repoint, retire
step       what a record does to one identifier
held       the identifiers a profile holds
joins      which event joined what, told once more from the timeline
"""

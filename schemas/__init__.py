"""The contracts: what travels and what is written down. Types only, no behaviour.

values       the words all the others use: instants, ids, identifiers, origins
events       a store event, normalised
records      what the inner topics carry (msgpack)
rows         what the tables keep (msgpack)
outputs      what the public topics carry (JSON)
definitions  what a store wants: segments, flows, lists, settings
topics       every topic: name, key, value, partitions, retention, who writes, who reads
"""

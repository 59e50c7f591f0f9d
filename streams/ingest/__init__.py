"""From a record of `store-events` to an event, or to the reason why it is none.

In:    bytes and headers of a record of `store-events`, and when the broker received it.
Out:   an event with its identifiers normalised, a rejection, a tick, or published definitions.
State: none, but for the settings in force (`EventReader.adopt`).

read         a record -> what it is; binds the rest together
control      records that are no store events: ticks, published definitions
shapes       which shape a store event has
store_json   the store's own JSON, decoded strictly; one module per source: the others are
klaviyo      the body of Klaviyo's Events API
segment      Segment calls
sent         what each of them makes of it: the event as it was sent, in our own words
second_look  unknown keys: mistyped, or kept; what is not at once as it should be
trouble      what is wrong with bytes that could not be decoded, and where
fields       metric, time, money, currency: one field, checked and put into our shape
identifiers  what an identifier looks like once it is normalised, and what is none
rejection    every reason there is
settings     what a store says about its identifiers
"""

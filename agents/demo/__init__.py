"""The demo: a year of a real shop, what is invented around it, and the log made of both.

countries    the data's countries -> ISO code and time zone
shop         invoice lines -> store events; the data's own totals
chance       a choice is a hash of ids, seeded once
synthetic    what the data do not hold: all of it invented, all of it marked
devices      the browsers that people visit the shop with: invented
recipients   a send command -> what its recipient does: invented, marked, fixed by the send's id
log          both, with the core in the loop -> the partitions of `store-events`, round by round
"""

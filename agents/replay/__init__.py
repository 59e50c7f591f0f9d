"""`tillstream replay`: the whole path in memory, from a file of events or from a recorded log.

arrivals     a file of events -> lines in the order of arrival
published    folders of definitions -> what is published when
profiles     rows of profiles -> profiles as people read them
written      what the path says -> the files of the outcome
run          all of it: events and definitions in, files out
recorded     a recorded `store-events` -> what the path says now, compared with what it said then
contracts    the JSON Schema of every output file
"""

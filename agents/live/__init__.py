"""Live use: the pipeline that `tillstream up` runs, and what is done to it from another terminal.

place.py     what runs on a data folder, written down while it does: the lock, the addresses
servers.py   the embedded broker and database, or the servers that the settings name
workers.py   worker processes, started again when they end
sink.py      the timeline sink, started again when it fails
up.py        all of it, in order: started, looked after, ended
asking.py    the cluster, reached or refused in a sentence; what is in force there
pushing.py   events of a file, checked by the reader of ingest, then appended
tailing.py   the records of a public topic as they come
finding.py   where an event is, what became of it, what it led to
resetting.py everything a namespace holds, deleted
"""

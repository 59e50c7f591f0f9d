"""Reports: questions to the timeline, answered as plain typed rows. Showing them is the CLI's.

attribution.py  what each message earned; the same numbers as streams/attribution
funnels.py      what became of the profiles that triggered a flow
habits.py       what the timeline knows of definitions: traffic, overlaps
stories.py      the timeline of one person; the chain behind one send
totals.py       events by metric, revenue, profiles, segments

All read over FINAL, with profile ids corrected through the merges (schemas/clickhouse/0002).
"""

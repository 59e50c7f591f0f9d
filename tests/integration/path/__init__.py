"""The whole path on a real broker: workers are processes, and they are killed, frozen and joined.

`shop.py` has a log and what the core in memory makes of it; `running.py` starts workers and feeds;
`reading.py` reads what anybody can read afterwards. Every test ends by comparing the two.
"""

"""The timeline in ClickHouse: numbered migrations (`0001_tables.sql`, ...) and `tables.py`.

A migration that was released is never edited: the next number changes what it made.
"""

"""Definitions: what a store writes (plain data) -> types -> a compiled program.

durations, comparisons, instants  the small texts of the language
readers      one small reader for each kind of value: reads it, reports what is wrong, has a schema
shapes       readers of maps and lists, and of one thing out of several
conditions, places, flows, settings  the tables of the language, made of readers
parse        a folder's documents -> definitions and every problem in them
references   what definitions say about each other: unknown names, circles
lint         advice: what is right and most likely not wanted; logic and exclusion say what follows
             from conditions alone, cost what they take
program      definitions -> everything a profile step needs, compiled once
"""

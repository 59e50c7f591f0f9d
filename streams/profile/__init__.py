"""What a record does to one person: composes consent, segments, flows and sends over one row."""

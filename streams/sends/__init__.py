"""A planned send is delivered, held or dropped; what became of it comes back as an event."""

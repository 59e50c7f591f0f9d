"""What an address may receive: identity holds it per address, the profile a copy; suppression."""

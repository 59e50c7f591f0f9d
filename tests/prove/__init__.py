"""The long proofs: `make prove`, or one of them by a word of its name, `make prove ONLY=faults`.

What is drawn by chance is drawn from a seed, which is part of the test's name; `SEED=n` repeats it.
"""

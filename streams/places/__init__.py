"""Places: where a postal code is.

postal            a country and a code -> latitude and longitude, from a table that comes along
postal-codes.xz   the table, made of GeoNames' (SOURCES.md); it changes with a release, so a replay
                  with the same version sees the same places
"""

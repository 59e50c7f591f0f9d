"""The servers that come with the project: a real Kafka broker, a ClickHouse engine behind HTTP.

For the embedded default, the demo and the tests, on Linux. A deployment names its own servers
(`TILLSTREAM_KAFKA`, `TILLSTREAM_CLICKHOUSE`) and nothing here is used.

leash.py    ties a program's life to its parent's
process.py  starts, recognises and ends processes
jars.py     fetches the broker's jars, each with a known checksum
kafka.py    the broker
gateway.py  ClickHouse's HTTP interface over the embedded engine
"""

"""The shell: Faust, Kafka, tables, ClickHouse, providers, metrics and the command line."""

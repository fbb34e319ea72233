"""The command line: arguments, data, experiment, table, figure."""

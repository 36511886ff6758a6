"""The edge to the providers: a module for each wire format (two pure functions, `build` and `parse`),
the classifier of errors, and the transports that send. Knows no database.
"""

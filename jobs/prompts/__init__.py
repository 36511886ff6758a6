"""Prompt templates and their immutable versions: rendering a row in a sandbox, the schema and the rules
that an answer is held to, and the estimate of tokens.
"""

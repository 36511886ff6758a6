"""The template tags and filters that pages are made of, a builtin of every template; `docs/ui-kit.md` is
the catalogue.
"""

"""The demo: data that looks like work, loaded into an installation of its own."""

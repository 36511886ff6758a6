"""The REST API: the pages' services and selectors, as JSON. See `jobs.api.app`."""

"""The project around the application: settings by environment, addresses, the WSGI entry point and the
demo's start. Everything that batchllm does is in `jobs`.
"""

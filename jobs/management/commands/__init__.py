"""One module a command of `manage.py`: the installation's processes, the demo, the simulator, tokens."""

"""What is done from the command line; see `commands`."""

"""The tables as they came to be; one initial migration until the first release."""

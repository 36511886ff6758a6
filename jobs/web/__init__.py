"""The pages: thin views over services and selectors, declared with `pages.page`. All state is in the
address; a polled fragment is a part of its own page.
"""

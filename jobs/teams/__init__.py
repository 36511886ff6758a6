"""Teams, members, tokens, connections and their keys, the audit log, and the one table that says who may
do what (`policy`). Pages and API reach objects only through `access`.
"""

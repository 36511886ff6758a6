"""What runs inside an installation: `python -m bench.inside ACTION JSON` prints its answer as JSON.

Actions are the public functions of `bench.actions` and its siblings; they take their arguments by name.
"""

import json
import sys

import django

if __name__ == "__main__":
    django.setup()
    from bench import actions, budget_actions, bulk_actions, cost_actions

    name, arguments = sys.argv[1], json.loads(sys.argv[2])
    action = next(
        getattr(one, name)
        for one in (actions, budget_actions, bulk_actions, cost_actions)
        if hasattr(one, name)
    )
    print(json.dumps(action(**arguments)), flush=True)

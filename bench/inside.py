"""What runs inside an installation: `python -m bench.inside ACTION JSON` prints its answer as JSON.

Actions are the public functions of `bench.actions` and `bench.bulk_actions`; they take their arguments
by name.
"""

import json
import sys

import django

if __name__ == "__main__":
    django.setup()
    from bench import actions, bulk_actions

    name, arguments = sys.argv[1], json.loads(sys.argv[2])
    action = getattr(actions, name, None) or getattr(bulk_actions, name)
    print(json.dumps(action(**arguments)), flush=True)

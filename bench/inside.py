"""What runs inside an installation: `python -m bench.inside ACTION JSON` prints its answer as JSON.

Actions are the public functions of `bench.actions` and take their arguments by name.
"""

import json
import sys

import django

if __name__ == "__main__":
    django.setup()
    from bench import actions

    print(json.dumps(getattr(actions, sys.argv[1])(**json.loads(sys.argv[2]))), flush=True)

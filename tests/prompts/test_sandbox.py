"""Templates that want out, or want all memory and time there is."""

import subprocess
import sys

import pytest

from jobs.prompts.template import PromptText, RenderFault, TemplateFault

# What reaches for something that is not the row. Each is refused when it is written.
ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ a.__class__ }}",
    "{{ a|attr('__class__') }}",
    "{{ a|map(attribute='x') }}",
    "{{ self.__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ lipsum.__globals__['os'] }}",
    "{{ request['application'] ~ 'x' }}",
    "{{ a.items() }}",
    "{{ a ['items'] () }}",
    "{{ (a)() }}",
    "{{ 'a'('b') }}",
    "{{ loop(a) }}",
    "{{ range(10) }}",
    "{{ dict(a=1) }}",
    "{{ namespace() }}",
    "{{ debug() }}",
    "{{ super() }}",
    "{{ {'a': a} }}",
    "{{ a[1:2] }}",
    "{{ a ** 9 }}",
    "{{ 'x' * 100000000 }}",
    "{{ a ~ a }}",
    "{{ a + a }}",
    "{{ a if a else a(1) }}",
    "{{ a, a }}",
    "{{ (a, a) }}",
    "{{ [a, a] }}",
    "{{ [[1]] }}",
    "{{ ['x', a]|join }}",
    "{{ a in [a] }}",
    "{{ a|tojson(indent=9) }}",
    "{% include 'x' %}",
    "{%- include 'x' -%}",
    "{%+ include 'x' %}",
    "{% import 'x' as y %}",
    "{% from 'x' import y %}",
    "{% extends 'x' %}",
    "{% block a %}{% endblock %}",
    "{% macro m() %}{% endmacro %}",
    "{% call m() %}{% endcall %}",
    "{% set x = a %}",
    "{% with x = a %}{% endwith %}",
    "{% filter upper %}{% endfilter %}",
    "{% autoescape true %}{% endautoescape %}",
    "{% raw %}{% endraw %}",
    "{% do a %}",
    "{% for x in a, a %}{% endfor %}",
    "{% for x in (a, a) %}{% endfor %}",
    "{% for x in [a, a, a] %}{% endfor %}",
    "{% for x in a recursive %}{{ loop(x) }}{% endfor %}",
    "{% for x in a %}{% for y in a %}{% for z in a %}{% endfor %}{% endfor %}{% endfor %}",
    '{{ "}}" * 5 }}',
    "{{ '}}' ~ a }}",
    "{% if '%}' ~ a %}{% endif %}",
    "{{ a\n|attr\n('x') }}",
]


@pytest.mark.parametrize("text", ESCAPES)
def test_it_refuses_what_is_not_about_the_row(text: str) -> None:
    with pytest.raises(TemplateFault):
        PromptText.compile("", text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ row['__class__'] }}",
        "{{ l['__class__'] }}",
        "{{ l.append }}",
        "{{ m.keys }}",
        "{{ m['pop'] }}",
        "{{ s.upper }}",
        "{{ n.real }}",
        "{{ row.__len__ }}",
        "{{ cycler }}{{ joiner }}{{ lipsum }}",
    ],
)
def test_nothing_of_python_is_behind_a_value(text: str) -> None:
    row = {"l": [1], "m": {"a": 1}, "s": "x", "n": 3}
    with pytest.raises((TemplateFault, RenderFault)):
        PromptText.compile("", text).render(row)


# Run where memory and processor time are limited: a bomb that goes off ends only that process.
BOMBS = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
from jobs.prompts.template import PromptText, RenderFault, TemplateFault
many, text, large = list(range(100_000)), "y" * 100_000, "x" * 4_000_000
deep = 1
for _ in range(90):
    deep = [deep]
bombs = [
    "{% for a in many %}" + "y" * 10_000 + "{% endfor %}",
    "{% for a in many %}{{ text }}{% endfor %}",
    "{% for a in many %}{% for b in many %}{{ a }}{% endfor %}{% endfor %}",
    "{% for a in many %}{% if text == text %}{% endif %}{% endfor %}",
    "{% for a in many %}{% if large|upper == large %}{% endif %}{% endfor %}",
    "{% for a in many %}{% if many == many %}{% endif %}{% endfor %}",
    "{% for a in text %}{% for b in text %}{% endfor %}{% endfor %}",
    "{{ text|join(text) }}",
    "{{ many|join(text) }}",
    "{{ large }}" * 50,
    "{{ q" + "|tojson" * 200 + " }}",
    "{{ q" + "|tojson" * 200 + "|length }}",
    "{{ " + "not " * 40_000 + "q }}",
    "{{ q" + "|trim" * 40_000 + " }}",
    "{{ q" + ".a" * 40_000 + " }}",
    "{{ q" + " and q" * 40_000 + " }}",
    "{{ q" + " if q else q" * 15_000 + " }}",
    "{{ " + "(" * 40_000 + "q" + ")" * 40_000 + " }}",
    "{{ " + "[" * 40_000 + "]" * 40_000 + " }}",
    "{% if q %}" + "{% elif q %}" * 15_000 + "{% endif %}",
    "{% if q %}" * 9_000 + "{% endif %}" * 9_000,
    "{{ many|tojson(1000000000) }}" * 20,
    "{{ deep" + "[0]" * 95 + " }}",
]
row = {"many": many, "text": text, "large": large, "q": '"' * 10, "deep": deep}
for at, bomb in enumerate(bombs):
    try:
        PromptText.compile("", bomb).render(row)
    except (TemplateFault, RenderFault) as fault:
        print(at, len(str(fault)) < 500)
    else:
        print(at, "went through")
"""


def test_a_bomb_is_refused_before_it_takes_memory_or_time() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BOMBS], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [word for at in range(23) for word in (str(at), "True")]

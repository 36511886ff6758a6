"""Prompt texts: one pass, byte for byte, and faults that name their place."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.prompts.template import MAX_TEMPLATE_CHARS, PromptText, RenderFault, TemplateFault
from jobs.prompts.tokens import estimate_tokens, upper_bound_tokens
from jobs.written import Written, read


def rendered(text: str, **row: Any) -> str:
    return PromptText.compile("", text).render(row).user


@settings(max_examples=150, deadline=None)
@given(st.text(), st.text(), st.text(st.characters(exclude_characters="{")))
def test_a_cell_comes_out_byte_for_byte(cell: str, other: str, around: str) -> None:
    text = around + "{{ a }}" + around
    assert rendered(text, a=cell, b=other) == around + cell + around


@pytest.mark.parametrize(
    "cell",
    [
        "{{ b }}",
        "{% for x in b %}",
        "{% raw %}",
        "{# gone #}",
        "a\r\nb\n",
        "\ufeff\u202e\0",
        "  7 ",
    ],
)
def test_a_cell_is_never_read_as_a_template(cell: str) -> None:
    prompt = PromptText.compile("S {{ a }}", "{% for x in l %}{{ x }}{% endfor %}\n{{ a }}\n")
    done = prompt.render({"a": cell, "b": "no", "l": [cell]})
    assert (done.system, done.user) == (f"S {cell}", f"{cell}\n{cell}\n")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("007", "007"),
        ("", ""),
        (None, ""),
        (True, "true"),
        (12, "12"),
        (0.1, "0.1"),
        (2**70, str(2**70)),
        ([1, None, "a"], '[1,null,"a"]'),
        ({"k": ["<b>", {"é": 1.0}]}, '{"k":["<b>",{"é":1.0}]}'),
        (1.0, "1.0"),
        (1e-5, "0.00001"),
        (Written("1e5"), "1e5"),
        ([Written("2.50"), {"k": Written("-0")}], '[2.50,{"k":-0}]'),
    ],
)
def test_it_writes_values_as_json_has_them(value: Any, shown: str) -> None:
    assert rendered("{{ a }}|{{ row.a }}|{{ row['a'] }}", a=value) == f"{shown}|{shown}|{shown}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{% for item in list %}{{ item }} {% endfor %}", "1.0 2.50 "),
        (
            "{{ list | join(', ') }} {{ price | string }} {{ price | tojson }}",
            "1.0, 2.50 2.50 2.50",
        ),
        ("{{ price if price > 2 else 'cheap' }}", "2.50"),
        ("{{ (none or price) == 2.5 and 2 < price and row['price'] <= nested['a b'] }}", "true"),
        ("{{ many == 100000 and many is number and not zero and huge > 5 }}", "true"),
        ("{{ 2.5 in list and 1 in list and price not in [1, 2] and 'a' in text }}", "true"),
        ("{% for n in list if n > 1 %}{{ n }}{% endfor %}", "2.50"),
        ("{{ price | round(1) }} {{ many | int }} {{ (list | last) | float }}", "2.5 100000 2.5"),
        ("{{ list[one] }} {{ nested['a b'] }} {{ text == 'a > b' }}", "2.50 3.10 true"),
    ],
)
def test_it_compares_numbers_and_shows_them_as_written(text: str, shown: str) -> None:
    row = read(
        '{"price": 2.50, "many": 1e5, "list": [1.0, 2.50], "nested": {"a b": 3.10}, "one": 1.0,'
        ' "zero": 0e0, "huge": 123456789012345678901234567890, "text": "a > b"}'
    )
    assert PromptText.compile("", text).render(row).user == shown


@pytest.mark.parametrize(
    "text", ["{% if b > 1 %}x{% endif %}", "{{ a in b }}", "{{ [] | first == 1 }}"]
)
def test_it_compares_nothing_with_what_is_missing(text: str) -> None:
    with pytest.raises(RenderFault, match=r"no value|missing"):
        rendered(text, a=1)


def test_it_tells_missing_from_empty() -> None:
    prompt = PromptText.compile("", "{{ a }}{% if b is defined %}, b is {{ b }}{% endif %}")
    assert prompt.render({"a": ""}).user == ""
    assert prompt.render({"a": None, "b": 1}).user == ", b is 1"
    with pytest.raises(RenderFault, match="no value for “a”") as fault:
        prompt.render({"b": 1})
    assert fault.value.variable == "a"
    assert rendered("{{ a|default('none given') }}") == "none given"
    with pytest.raises(RenderFault, match="no value for “a”"):
        rendered("{% if a %}x{% endif %}")


def test_it_walks_into_nested_columns() -> None:
    order = {"customer": {"city": "Köln"}, "lines": [{"sku": "a"}, {"sku": "b"}]}
    text = (
        "{{ o.customer.city }} {{ o.lines[1].sku }} {% for l in o.lines %}{{ l.sku }}{% endfor %}"
    )
    assert rendered(text, o=order) == "Köln b ab"
    with pytest.raises(
        RenderFault, match=r"nested value .* is missing in the row \(user, line 3\)"
    ):
        rendered("\n\n{{ o.customer.street }}", o=order)
    with pytest.raises(RenderFault, match="nested value"):
        rendered("{{ o.customer.city }}", o="not an object")
    # An optional column is not to blame for another's absence.
    with pytest.raises(RenderFault, match="nested value"):
        rendered("{{ p|default('') }}{{ o.x }}", o={})


@pytest.mark.parametrize("name", ["items", "keys", "values", "get", "range", "dict", "debug"])
def test_a_column_may_be_called_as_it_likes_and_is_nothing_else_when_it_is_missing(
    name: str,
) -> None:
    text = f"{{{{ row.{name} }}}} {{{{ nested.{name} }}}} {{{{ {name} }}}}"
    assert rendered(text, **{name: "x"}, nested={name: "y"}) == "x y x"
    for row in ({"nested": {name: 1}}, {name: "x", "nested": {}}, {name: "x", "nested": []}):
        with pytest.raises(RenderFault):
            rendered(text, **row)


def test_odd_column_names_are_reached_through_row() -> None:
    row = {"First name": "A", "größe": "B", "_id": "C", 'a"b': "D", "name": "E", "self": "F"}
    text = "{{ row['First name'] }}{{ größe }}{{ row[\"_id\"] }}{{ row['a\"b'] }}{{ name }}"
    text += "{{ row.self }}"
    prompt = PromptText.compile("", text)
    assert prompt.render(row).user == "ABCDEF"
    assert prompt.variables == {"First name", "größe", "_id", 'a"b', "name"}


@pytest.mark.parametrize(
    ("text", "variables", "optional"),
    [
        ("{{ a }} {{ b.c }} {{ d[0] }}", {"a", "b", "d"}, set()),
        ("{% for x in a %}{{ x }}{{ loop.index }}{{ b }}{% endfor %}", {"a", "b"}, set()),
        ("{% if a is not defined %}{{ b|default('x')|upper }}{% endif %}", {"a", "b"}, {"a", "b"}),
        ("{# {{ gone }} #}{{ row }}", set(), set()),
        ("{{ 'a' if b == \"c\" else d }}", {"b", "d"}, set()),
    ],
)
def test_it_knows_its_variables(text: str, variables: set[str], optional: set[str]) -> None:
    prompt = PromptText.compile("", text)
    assert (prompt.variables, prompt.optional) == (variables, optional)
    assert PromptText.compile(text, "").variables == variables


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{{ s|upper }} {{ s|trim|length }}", " BB  2"),
        ("{{ l|join(', ') }} {{ l|first }} {{ l|last }}", '1, x, , {"k":"v"} 1 {"k":"v"}'),
        ("{{ s|join('-') }}", " -b-b- "),
        ("{{ m|tojson }} {{ l|string }}", '{"k":"<v>"} [1,"x",null,{"k":"v"}]'),
        ("{{ m|tojson(2) }}", '{\n  "k": "<v>"\n}'),
        ("{{ n|round(1) }} {{ '7'|int }} {{ n|string }}", "1.3 7 1.26"),
        ("{{ m is mapping }} {{ l is sequence }} {{ m is sequence }}", "true true false"),
        ("{% for k in m %}{{ k }}{% endfor %} {% if e %}x{% else %}y{% endif %}", "k y"),
        ("{%if(s)%}a{%-else-%}b{%endif%}{# c #}", "a"),
        ("{{ 'x' in l }} {{ s not in ['a', 1] }} {{ l == l and m == m }}", "true true true"),
    ],
)
def test_its_filters_and_tests_know_json(text: str, shown: str) -> None:
    row = {"s": " bb ", "l": [1, "x", None, {"k": "v"}], "m": {"k": "<v>"}, "n": 1.26, "e": {}}
    assert rendered(text, **row) == shown


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        ("Hello\n{{ a b }}", "Unexpected identifier", 2),
        ("\n\n{{ a", "Unexpected end of input", 3),
        ("{% if a %}", "Unexpected end of input", 1),
        ("a\n{% endfor %}", "Unknown statement endfor", 2),
        ("{{ }}", "Unexpected end of variable block", 1),
        ("\n{{ a|nope }}", "There is no filter “nope”; there are capitalize, default", 2),
        ("{{ a is odd }}", "There is no test “odd”; there are defined, false", 1),
        ("\n\n\n{% set x = 1 %}", "“set” cannot be used", 4),
        ("{{ _x }}", r"written row\[\"_x\"\]", 1),
        ("x" * (MAX_TEMPLATE_CHARS + 1), "has 200,001 characters", None),
    ],
)
def test_a_fault_names_its_part_and_line(text: str, words: str, line: int | None) -> None:
    for part, texts in (("user", ("", text)), ("system", (text, ""))):
        with pytest.raises(TemplateFault, match=words) as fault:
            PromptText.compile(*texts)
        assert (fault.value.part, fault.value.line) == (part, line)
        assert str(fault.value).endswith(f"({part}, line {line})" if line else f"({part})")


def test_a_row_that_a_filter_cannot_take_is_told_with_its_place() -> None:
    with pytest.raises(RenderFault, match=r"Cannot round value \(string\) \(user, line 2\)"):
        rendered("\n{{ a|round }}", a="x")
    with pytest.raises(RenderFault, match="“join” takes a list"):
        rendered("{{ a|join }}", a=5)


def test_threads_share_one() -> None:
    prompt = PromptText.compile("", "{% for x in l %}{{ x }}{% endfor %}{{ n }}")
    rows = [{"l": list(range(n % 7)), "n": n} for n in range(400)]
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda row: prompt.render(row).user, rows))
    assert done == ["".join(map(str, row["l"])) + str(row["n"]) for row in rows]


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_the_bound_of_tokens_is_never_below_the_estimate(text: str) -> None:
    assert len(text) <= upper_bound_tokens(text)
    assert 0 < estimate_tokens(text) <= upper_bound_tokens(text)
    assert estimate_tokens(text * 4) > len(re.findall(".", text))
    assert json.dumps(text)

"""Templates are kept as numbered versions: immutable, one for each text, compared line by line."""

import threading
from typing import Any

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import Invalid
from jobs.models import (
    Dataset,
    DatasetRow,
    DatasetStatus,
    Job,
    JobStatus,
    PromptTemplate,
    TemplateVersion,
)
from jobs.prompts.selectors import (
    diff_versions,
    latest_figures,
    preview,
    variable_use,
    version_figures,
)
from jobs.prompts.services import template_archive, template_rename, template_save
from jobs.prompts.template import PromptText
from tests.cast import Cast, cast, make_connection  # noqa: F401

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"reasoning": {"type": "string"}, "label": {"enum": ["b", "a"]}},
    "required": ["reasoning", "label"],
}


def save(cast: Cast, **changes: Any) -> tuple[TemplateVersion, bool]:  # noqa: F811
    text: dict[str, Any] = {"name": "Tag", "system": "Be brief.", "user": "Say {{ a }}"}
    return template_save(actor=cast.actor(cast.olivia), **{**text, **changes})


@pytest.mark.django_db
def test_a_change_makes_a_version_and_nothing_changed_makes_none(cast: Cast) -> None:  # noqa: F811
    first, created = save(cast, output_schema=SCHEMA, rules=[{"max": 1, "field": "n"}])
    assert (first.version, created) == (1, True)
    same = {"user": "Say {{ a }}", "rules": [{"field": "n", "max": 1}], "output_schema": SCHEMA}
    assert save(cast, **same) == (first, False)
    assert save(cast, name="  Tag ", **same) == (first, False)
    changes: list[dict[str, Any]] = [
        {"user": "Say {{ b }}"},
        {"user": "Say {{ a }} "},
        {"system": ""},
        {"rules": [{"field": "n", "max": True + 1.0}]},
        {"defaults": {"max_tokens": 5}},
        {"output_schema": None},
        {"output_schema": {**SCHEMA, "properties": dict(reversed(SCHEMA["properties"].items()))}},
    ]
    for number, change in enumerate(changes, 2):
        version, created = save(cast, **{**same, **change})
        assert (version.version, created) == (number, True), change
    first.refresh_from_db()
    assert (first.user, first.output_schema) == ("Say {{ a }}", SCHEMA)
    assert PromptTemplate.objects.get().latest_version == 8
    # An older text again is a new version too: what is latest is what was saved last.
    assert save(cast, **same)[0].version == 9


@pytest.mark.django_db
def test_line_ends_of_a_browser_make_no_difference(cast: Cast) -> None:  # noqa: F811
    first, _ = save(cast, user="a\nb", system="x\n")
    assert save(cast, user="a\r\nb", system="x\r\n") == (first, False)


@pytest.mark.django_db
def test_a_schema_keeps_the_order_of_its_fields(cast: Cast) -> None:  # noqa: F811
    """Models answer in it: reasoning that comes after the label is none."""
    save(cast, output_schema=SCHEMA)
    stored = TemplateVersion.objects.get().output_schema
    assert list(stored["properties"]) == ["reasoning", "label"]
    assert list(stored) == ["type", "properties", "required"]


@pytest.mark.django_db
def test_all_that_is_wrong_is_told_at_once_and_nothing_is_kept(cast: Cast) -> None:  # noqa: F811
    with pytest.raises(Invalid) as fault:
        save(
            cast,
            name=" ",
            system="line one\n{{ a b }}",
            user="",
            output_schema={"type": "string"},
            rules=[{"min": "x"}],
        )
    told = {error.loc: error.msg for error in fault.value.errors}
    assert list(told) == [("name",), ("user",), ("system",), ("output_schema",), ("rules", 0)]
    assert "(line 2)" in told[("system",)]
    for changes, loc in (
        ({"name": "x" * 201}, ("name",)),
        ({"name": "a\0b"}, ("name",)),
        ({"user": "a\0b"}, ("user",)),
        ({"kind": "poem"}, ("kind",)),
        ({"defaults": []}, ("defaults",)),
    ):
        with pytest.raises(Invalid) as fault:
            save(cast, **changes)
        assert fault.value.errors[0].loc == loc
    assert not PromptTemplate.objects.exists()


@pytest.mark.django_db
def test_a_name_belongs_to_one_template_of_a_team(cast: Cast) -> None:  # noqa: F811
    mine, _ = save(cast)
    other, _ = save(cast, name="Other")
    theirs, created = template_save(
        actor=cast.actor(cast.charlie), name="Tag", system="", user="Theirs"
    )
    assert created
    assert theirs.template_id != mine.template_id
    actor = cast.actor(cast.olivia)
    for name in ("Other", "", "x" * 201):
        with pytest.raises(Invalid):
            template_rename(actor=actor, template=mine.template, name=name)
    template_rename(actor=actor, template=mine.template, name=" Renamed ")
    assert PromptTemplate.objects.get(pk=mine.template_id).name == "Renamed"
    assert other.template_id != mine.template_id


@pytest.mark.django_db
def test_saving_takes_a_template_out_of_the_archive(cast: Cast) -> None:  # noqa: F811
    version, _ = save(cast)
    template_archive(actor=cast.actor(cast.olivia), template=version.template, archived=True)
    assert PromptTemplate.objects.get().archived_at is not None
    save(cast, user="changed")
    assert PromptTemplate.objects.get().archived_at is None


@pytest.mark.django_db(transaction=True)
def test_two_people_who_save_at_once_get_two_numbers(cast: Cast) -> None:  # noqa: F811
    save(cast)
    gate, numbers = threading.Barrier(4), []

    def one(n: int) -> None:
        try:
            gate.wait()
            numbers.append(save(cast, user=f"Say {n}")[0].version)
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == [2, 3, 4, 5]
    assert PromptTemplate.objects.get().latest_version == 5


@pytest.mark.django_db
def test_a_diff_tells_each_part_line_by_line(cast: Cast) -> None:  # noqa: F811
    before, _ = save(cast, user="one\ntwo\nthree", output_schema=SCHEMA)
    after, _ = save(cast, user="one\n2\nthree\nfour", output_schema=None, defaults={"seed": 1})
    parts = diff_versions(before, after)
    assert list(parts) == ["user", "output_schema", "defaults"]
    assert [(line.kind, line.text, line.before, line.after) for line in parts["user"]] == [
        ("same", "one", 1, 1),
        ("removed", "two", 2, None),
        ("added", "2", None, 2),
        ("same", "three", 3, 3),
        ("added", "four", None, 4),
    ]
    assert {line.kind for line in parts["output_schema"]} == {"removed"}
    assert diff_versions(before, before) == {}


@given(st.lists(st.sampled_from("abc\n")), st.lists(st.sampled_from("abc\n")))
def test_a_diff_holds_both_texts_whole(old: list[str], new: list[str]) -> None:
    before, after = TemplateVersion(user="".join(old)), TemplateVersion(user="".join(new))
    lines = diff_versions(before, after).get("user")
    if lines is None:
        assert before.user.splitlines() == after.user.splitlines()
        return
    sides = [
        [line.text for line in lines if line.kind != left_out] for left_out in ("added", "removed")
    ]
    assert sides == [before.user.splitlines(), after.user.splitlines()]


@pytest.mark.django_db
def test_its_figures_are_those_of_its_jobs(cast: Cast) -> None:  # noqa: F811
    one, _ = save(cast)
    two, _ = save(cast, user="two")
    dataset = Dataset.objects.create(team=cast.team, name="d", filename="d.csv")
    shared: dict[str, Any] = {
        "team": cast.team,
        "dataset": dataset,
        "connection": make_connection(cast.team),
        "model": "m",
        "status": JobStatus.COMPLETED,
        "total": 5,
    }
    for cost, unpriced in ((6, 0), (4, 0)):
        Job.objects.create(
            template_version=one,
            succeeded=4,
            failed=1,
            cost=cost,
            unpriced_attempts=unpriced,
            **shared,
        )
    Job.objects.create(template_version=two, succeeded=3, cost=0, unpriced_attempts=3, **shared)
    newest, oldest = version_figures(one.template)
    assert (oldest.runs, oldest.succeeded, oldest.failed, oldest.known_cost) == (2, 8, 2, 10)
    assert (oldest.success_rate, oldest.cost_per_success) == (0.8, 1)
    # A price that nobody knows makes an unknown cost, not one of nothing.
    assert (newest.version, newest.known_cost, newest.cost_per_success) == (two, None, None)
    assert latest_figures([one.template]) == {one.template_id: newest}


@pytest.mark.django_db
def test_a_preview_shows_rows_and_says_what_cannot_be_shown(cast: Cast) -> None:  # noqa: F811
    dataset = Dataset.objects.create(
        team=cast.team,
        name="d",
        filename="d.jsonl",
        status=DatasetStatus.READY,
        rows=2,
        columns=[{"name": "a"}, {"name": "b"}],
    )
    for n, data in ((1, '{"a":"x"}'), (2, '{"b":2}')):
        DatasetRow.objects.create(dataset=dataset, n=n, line=n, data=data)
    prompt = PromptText.compile("S", "{{ a }}{{ c|default('') }}")
    shown = preview(prompt=prompt, dataset=dataset, rows=[2, 1, 9])
    assert [(row.n, row.user, row.error) for row in shown] == [
        (2, "", "The row has no value for “a”"),
        (1, "x", ""),
        (9, "", "The dataset has rows 1 to 2"),
    ]
    assert shown[1].tokens > 0
    use = variable_use(prompt, dataset)
    assert (use.known, use.unknown, use.unused) == (["a"], [], ["b"])
    use = variable_use(PromptText.compile("", "{{ z }}{{ a }}"), dataset)
    assert (use.known, use.unknown, use.unused) == (["a"], ["z"], ["b"])

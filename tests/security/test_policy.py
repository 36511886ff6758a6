"""The policy table is whole: every route is in it, and nothing else is."""

from jobs.models import Role
from jobs.teams.policy import DOCUMENTS, MINIMUM_ROLE, OPERATIONS, PAGES, ROUTES, Action
from tests.security.routes import operations, pages, routes, url_patterns

# How many routes may answer without a log-in; more need a reason stronger than convenience.
MOST_PUBLIC = 6


def test_it_declares_every_route() -> None:
    assert [str(route) for route in routes() if route.rule is None] == []


def test_it_declares_no_route_that_is_not_there() -> None:
    assert set(PAGES | DOCUMENTS) == {route.name for route in pages()}
    assert set(OPERATIONS) == {route.name for route in operations()}


def test_its_names_are_unambiguous() -> None:
    for found in (pages(), operations()):
        names = [route.name for route in found]
        assert sorted(set(names)) == sorted(names)


def test_it_is_what_the_pages_themselves_declare() -> None:
    for route in pages():
        if route.name not in DOCUMENTS:
            assert getattr(route.view, "rule", None) == route.rule, route


def test_it_knows_every_address_of_the_api() -> None:
    """An operation kept out of the document would not be walked."""
    documented = {route.pattern.replace("{", "<").replace("}", ">") for route in operations()} | {
        route.pattern for route in pages()
    }
    beside = {
        whole
        for whole, leaf in url_patterns()
        if whole.startswith("/api/") and whole not in documented
    }
    assert beside == {"/api/v1/"}  # ninja's root, which answers 404


def test_it_opens_six_routes_at_most_without_a_log_in() -> None:
    public = {name for name, rule in ROUTES.items() if rule == "public"}
    assert public == {"login", "healthz", "readyz", "metrics", "openapi-json", "openapi-view"}
    assert len(public) <= MOST_PUBLIC


def test_it_gives_every_action_a_role() -> None:
    assert set(MINIMUM_ROLE) == set(Action)


def test_it_keeps_keys_prices_members_and_the_log_for_admins() -> None:
    for action in (
        Action.CONNECTION_WRITE,
        Action.PRICE_WRITE,
        Action.MEMBER_WRITE,
        Action.AUDIT_READ,
        Action.TEAM_SETTINGS,
    ):
        assert MINIMUM_ROLE[action] is Role.ADMIN

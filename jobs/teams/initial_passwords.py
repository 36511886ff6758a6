"""A password that somebody else has seen is good for one thing: choosing one's own.

Whoever has one is in a group of this name; the group's only use is this mark.
"""

from django.contrib.auth.models import Group, User

_GROUP = "initial password"


def mark_initial_password(user: User) -> None:
    user.groups.add(Group.objects.get_or_create(name=_GROUP)[0])


def has_initial_password(user: User) -> bool:
    return user.groups.filter(name=_GROUP).exists()


def initial_password_replaced(user: User) -> None:
    user.groups.through.objects.filter(user=user, group__name=_GROUP).delete()

"""The API's addresses, below /api/v1/."""

from jobs.api.app import api

urlpatterns, app_name, _namespace = api.urls

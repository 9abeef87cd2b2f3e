"""Every address of the site."""

from django.contrib import admin
from django.urls import include, path

from backupsite.api.urls import api_patterns, document_patterns

urlpatterns = [
    path("admin/", admin.site.urls),
    *document_patterns,
    path("api/", include((api_patterns, "api"), namespace="api")),
    path("", include((api_patterns, "api"), namespace="api-at-the-root")),
]

handler400 = "backupsite.api.handlers.bad_request"
handler403 = "backupsite.api.handlers.permission_denied"
handler404 = "backupsite.api.handlers.page_not_found"
handler500 = "backupsite.api.handlers.server_error"

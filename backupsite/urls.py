"""Every address of the site."""

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path, re_path
from django.utils.functional import lazy
from django.views.generic import RedirectView

from backupsite.account.urls import account_patterns
from backupsite.api.urls import api_patterns, document_patterns
from backupsite.health.views import healthz, readyz
from backupsite.metrics import metrics
from exports.api.page import JobsView, SessionView, SignOutView, exports_page

urlpatterns = [
    path("", RedirectView.as_view(url="/admin/"), name="root"),
    path("favicon.ico", RedirectView.as_view(url=lazy(static, str)("backupsite/favicon.svg")), name="favicon"),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    re_path(r"^(api/)?metrics/?$", metrics, name="metrics"),
    path("admin", RedirectView.as_view(url="/admin/")),
    *account_patterns,
    path("admin/", admin.site.urls),
    *document_patterns,
    re_path(r"^exports/?$", exports_page, name="exports-page"),
    path("exports/session", SessionView.as_view(), name="exports-session"),
    path("exports/sign-out", SignOutView.as_view(), name="exports-sign-out"),
    path("exports/jobs", JobsView.as_view(), name="exports-jobs"),
    path("api/", include((api_patterns, "api"), namespace="api")),
    path("", include((api_patterns, "api"), namespace="api-at-the-root")),
]

handler400 = "backupsite.api.handlers.bad_request"
handler403 = "backupsite.api.handlers.permission_denied"
handler404 = "backupsite.api.handlers.page_not_found"
handler500 = "backupsite.api.handlers.server_error"

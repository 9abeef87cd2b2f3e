"""Addresses of the API. Mounted at /api/ (canonical) and at the root."""

from django.urls import re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerView
from rest_framework.permissions import AllowAny

from backups.api.download import DownloadLinkView
from backupsite.api.router import router
from backupsite.api.tokens import RefreshView, RevokeView, TokenView

swagger = SpectacularSwaggerView.as_view(url_name="schema", permission_classes=[AllowAny])
redoc = SpectacularRedocView.as_view(url_name="schema", permission_classes=[AllowAny])

# Before the router's: `doc` is never the id of a backup.
api_patterns = [
    re_path(r"^token/?$", TokenView.as_view(), name="token"),
    re_path(r"^token/refresh/?$", RefreshView.as_view(), name="token-refresh"),
    re_path(r"^token/revoke/?$", RevokeView.as_view(), name="token-revoke"),
    re_path(r"^backups/doc/?$", swagger, name="doc"),
    re_path(r"^downloads/(?P<token>[\w.:-]+)/?$", DownloadLinkView.as_view(), name="download"),
    *router.urls,
]
document_patterns = [
    re_path(r"^api/schema/?$", SpectacularAPIView.as_view(permission_classes=[AllowAny]), name="schema"),
    re_path(r"^docs/?$", swagger, name="docs"),
    re_path(r"^redoc/?$", redoc, name="redoc"),
]

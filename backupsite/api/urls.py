"""Addresses of the API. Mounted at /api/ (canonical) and at the root."""

from django.urls import re_path

from backups.api.download import DownloadLinkView
from backupsite.api.pages import RedocPage, SchemaView, SwaggerPage
from backupsite.api.router import router
from backupsite.api.tokens import PasswordView, RefreshView, RevokeView, TokenView
from databases.policy_api import PolicyViewSet
from exports.api.fetch import ExportFetchView
from exports.api.operators import ExportPolicyViewSet
from packages.api.download import PackageLinkView

# Before the router's: `doc` is never the id of a backup.
api_patterns = [
    re_path(r"^token/?$", TokenView.as_view(), name="token"),
    re_path(r"^password/?$", PasswordView.as_view(), name="password"),
    re_path(r"^token/refresh/?$", RefreshView.as_view(), name="token-refresh"),
    re_path(r"^token/revoke/?$", RevokeView.as_view(), name="token-revoke"),
    re_path(r"^backups/doc/?$", SwaggerPage.as_view(), name="doc"),
    re_path(r"^downloads/(?P<token>[\w.:-]+)/?$", DownloadLinkView.as_view(), name="download"),
    re_path(r"^downloads/packages/(?P<token>[\w.:-]+)/?$", PackageLinkView.as_view(), name="package-link"),
    re_path(r"^downloads/exports/(?P<token>[\w-]+)/?$", ExportFetchView.as_view(), name="export-fetch"),
    re_path(
        r"^export-policy/?$",
        ExportPolicyViewSet.as_view({"get": "retrieve", "patch": "partial_update"}),
        name="export-policy",
    ),
    re_path(r"^policy/?$", PolicyViewSet.as_view({"get": "retrieve", "patch": "partial_update"}), name="policy"),
    *router.urls,
]
document_patterns = [
    re_path(r"^api/schema/?$", SchemaView.as_view(), name="schema"),
    re_path(r"^docs/?$", SwaggerPage.as_view(), name="docs"),
    re_path(r"^redoc/?$", RedocPage.as_view(), name="redoc"),
]

"""What the deployment says of a provider of single sign-on (OpenID Connect); nothing when it says nothing."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from backupsite import environment

ROLES = ("admin", "operator", "viewer")  # the strongest first
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Provider:
    """`groups` are the provider's groups that give a role, by role; none at all leave roles to this site's admins."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    name: str
    scopes: str
    groups_claim: str
    groups: dict[str, frozenset[str]]
    create_users: bool


def provider_settings() -> Provider | None:
    """Raises ImproperlyConfigured for a provider without a client, and for one that is asked without TLS."""
    issuer = environment.value("BACKUPSITE_OIDC_ISSUER")
    if not issuer:
        return None
    address = urlsplit(issuer)
    if address.scheme != "https" and not (address.scheme == "http" and address.hostname in LOOPBACK):
        raise ImproperlyConfigured("BACKUPSITE_OIDC_ISSUER must be an https:// address (http:// only on loopback).")
    client_id = environment.value("BACKUPSITE_OIDC_CLIENT_ID")
    if not client_id:
        raise ImproperlyConfigured("BACKUPSITE_OIDC_CLIENT_ID is needed beside BACKUPSITE_OIDC_ISSUER.")
    if not environment.value("BACKUPSITE_PUBLIC_URL"):
        raise ImproperlyConfigured(
            "BACKUPSITE_PUBLIC_URL is needed for single sign-on: the provider sends people there."
        )
    create = environment.choice("BACKUPSITE_OIDC_CREATE_USERS", "false", allowed=("true", "false"))
    return Provider(
        issuer=issuer,
        client_id=client_id,
        client_secret=environment.value("BACKUPSITE_OIDC_CLIENT_SECRET"),
        name=environment.value("BACKUPSITE_OIDC_NAME", "single sign-on"),
        scopes=environment.value("BACKUPSITE_OIDC_SCOPES", "openid email profile"),
        groups_claim=environment.value("BACKUPSITE_OIDC_GROUPS_CLAIM", "groups"),
        groups={role: frozenset(environment.items(f"BACKUPSITE_OIDC_{role.upper()}_GROUPS")) for role in ROLES},
        create_users=create == "true",
    )

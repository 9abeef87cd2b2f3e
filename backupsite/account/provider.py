"""The provider of single sign-on: authorization code with PKCE, state and nonce, by Authlib.

What Authlib leaves to its caller is fixed here: signatures are asymmetric ones only, the token is of this issuer and
for this client, and every request to the provider has an end.
"""

from functools import lru_cache
from typing import Any

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.django_client import OAuth
from django.http import HttpRequest, HttpResponse
from joserfc.errors import JoseError

from backupsite.single_sign_on import Provider
from jobs.errors import BackupError

ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
TIMEOUT_S = 10
LEEWAY_S = 60


def authorize(provider: Provider, request: HttpRequest, back: str) -> HttpResponse:
    """Sends the browser to the provider. Raises BackupError(oidc_unreachable)."""
    try:
        answer: HttpResponse = _client(provider).authorize_redirect(request, back)
    except (requests.RequestException, AuthlibBaseError, RuntimeError, ValueError, KeyError) as error:
        raise _unreachable(error) from error
    return answer


def claims_of(provider: Provider, request: HttpRequest) -> dict[str, Any]:
    """What the provider says of who came back, proven by its signature.

    Raises BackupError: oidc_refused (the answer proves nothing), oidc_unreachable.
    """
    options = {
        "iss": {"essential": True, "value": provider.issuer},
        "aud": {"essential": True, "value": provider.client_id},
    }
    try:
        client = _client(provider)
        token = client.authorize_access_token(request, claims_options=options, leeway=LEEWAY_S)
    except (requests.RequestException, RuntimeError) as error:
        raise _unreachable(error) from error
    except (AuthlibBaseError, JoseError, ValueError, KeyError, TypeError) as error:
        raise _refused(f"The provider's answer proves nothing ({type(error).__name__}).") from error
    claims = token.get("userinfo")
    if not claims:
        raise _refused("The provider's answer has no identity token.")
    return dict(claims)


def _client(provider: Provider) -> Any:
    client = _made(provider.issuer, provider.client_id, provider.client_secret, provider.scopes)
    metadata = client.load_server_metadata()
    if metadata.get("issuer") != provider.issuer:
        raise _refused("The provider calls itself by another name than BACKUPSITE_OIDC_ISSUER.")
    offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
    metadata["id_token_signing_alg_values_supported"] = sorted(ALGORITHMS.intersection(offered)) or ["RS256"]
    return client


@lru_cache(maxsize=4)
def _made(issuer: str, client_id: str, client_secret: str, scopes: str) -> Any:
    """Kept, so that a process reads the provider's description once."""
    options = {"scope": scopes, "code_challenge_method": "S256", "default_timeout": TIMEOUT_S}
    if not client_secret:
        options["token_endpoint_auth_method"] = "none"
    return OAuth().register(
        "provider",
        client_id=client_id,
        client_secret=client_secret or None,
        server_metadata_url=f"{issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs=options,
    )


def _refused(message: str) -> BackupError:
    return BackupError(message, code="oidc_refused", permanent=True, hint="Try again, or ask who runs the provider.")


def _unreachable(error: Exception) -> BackupError:
    message = f"The provider of single sign-on does not answer as it should ({type(error).__name__})."
    return BackupError(message, code="oidc_unreachable")

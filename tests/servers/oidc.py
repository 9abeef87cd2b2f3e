"""A provider of single sign-on (OpenID Connect) on loopback: discovery, JWKS, authorization code with PKCE, RS256.

`claims` are put over what an identity token says by itself; `sign` makes the token, so that a test may sign it wrongly.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "backupsite", "the-clients-secret"


@dataclass
class Provider:
    url: str
    key: RSAKey
    claims: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)  # code -> what was asked at /authorize
    algorithms: list[str] = field(default_factory=lambda: ["RS256"])
    sign: Callable[[dict[str, Any]], str] | None = None
    refused: list[str] = field(default_factory=list)

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser goes back to, as if somebody had logged in there."""
        code = secrets.token_urlsafe(12)
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        asked = self.codes.pop(form.get("code", ""), None)
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        wrong = {
            "code": asked is None,
            "client": unquote(authorization) != f"Basic {basic}",
            "redirect_uri": asked is not None and form.get("redirect_uri") != asked["redirect_uri"],
            "pkce": asked is not None
            and (asked.get("code_challenge"), asked.get("code_challenge_method"))
            != (base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), "S256"),
        }
        self.refused += [name for name, is_wrong in wrong.items() if is_wrong]
        if asked is None or any(wrong.values()):
            return None
        now = int(time.time())
        claims = {"iss": self.url, "sub": "person-1", "aud": CLIENT, "iat": now, "exp": now + 300}
        claims |= {"nonce": asked["nonce"], "email": "ada@example.org", "email_verified": True, **self.claims}
        claims = {name: value for name, value in claims.items() if value is not None}
        token = (self.sign or self.rs256)(claims)
        return {"access_token": "unused", "token_type": "Bearer", "expires_in": 300, "id_token": token}

    def rs256(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.key)

    def description(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": self.algorithms,
        }


class Handler(BaseHTTPRequestHandler):
    provider: Provider

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path == "/.well-known/openid-configuration":
            self._json(200, self.provider.description())
        elif address.path == "/jwks":
            self._json(200, {"keys": [{**self.provider.key.as_dict(private=False), "kid": "one", "use": "sig"}]})
        elif address.path == "/authorize":
            self.send_response(302)
            self.send_header("Location", self.provider.authorize(dict(parse_qsl(address.query))))
            self.end_headers()
        else:
            self._json(404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        answer = self.provider.token(dict(parse_qsl(body)), self.headers.get("Authorization", ""))
        self._json(200 if answer else 400, answer or {"error": "invalid_grant"})

    def _json(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def oidc_provider() -> Iterator[Provider]:
    key = RSAKey.generate_key(2048)
    handler = type("BoundHandler", (Handler,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        handler.provider = Provider(f"http://127.0.0.1:{server.server_port}", key)  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield handler.provider  # type: ignore[attr-defined]
        finally:
            server.shutdown()
            thread.join()

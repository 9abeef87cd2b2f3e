"""Single sign-on against a provider that really signs: the honest way in, and every dishonest one."""

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from rest_framework.test import APIClient

from accounts.models import Account, Identity, Session
from audit.models import Entry
from backupsite import single_sign_on
from backupsite.account.provider_users import is_same_address
from backupsite.users import role_name
from jobs.models import Quota
from tests.accounts.conftest import PASSWORD
from tests.servers.oidc import CLIENT, SECRET, Provider, oidc_provider

pytestmark = pytest.mark.django_db
SITE = "http://testserver"


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with oidc_provider() as provider:
        yield provider


@pytest.fixture
def provider(running: Provider, configure: Callable[..., None]) -> Provider:
    running.claims, running.sign, running.algorithms, running.refused = {}, None, ["RS256"], []
    configure()
    return running


@pytest.fixture
def configure(running: Provider, settings: Any) -> Callable[..., None]:
    def configure(**values: Any) -> None:
        given = {
            "issuer": running.url,
            "client_id": CLIENT,
            "client_secret": SECRET,
            "name": "Example",
            "scopes": "openid email profile",
            "groups_claim": "groups",
            "groups": {},
            "create_users": False,
        }
        settings.BACKUPSITE_OIDC = single_sign_on.Provider(**{**given, **values})
        settings.BACKUPSITE_PUBLIC_URL = SITE

    return configure


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


def sent_to_provider(browser: Client, wanted: str = "/admin/account/") -> str:
    answer = browser.post("/admin/login/oidc/", {"next": wanted})
    assert answer.status_code == 302
    return answer["Location"]


def logged_in_there(address: str) -> str:
    """The provider's redirect back, as the path with its query."""
    try:
        urllib.request.build_opener(NoRedirects).open(address, timeout=10)
    except urllib.error.HTTPError as found:
        with found:
            back = urlsplit(found.headers["Location"])
            return f"{back.path}?{back.query}"
    raise AssertionError("the provider did not redirect")


def sign_in(browser: Client | None = None) -> tuple[Client, Any]:
    browser = browser or Client()
    return browser, browser.get(logged_in_there(sent_to_provider(browser)))


def is_in(browser: Client) -> bool:
    return browser.get("/admin/account/").status_code == 200


def test_a_verified_address_of_a_user_logs_that_user_in(provider: Provider, ada: User) -> None:
    browser, answer = sign_in()
    assert (answer.status_code, answer["Location"]) == (302, "/admin/account/")
    assert is_in(browser)
    assert Identity.objects.get().user == ada
    assert Session.objects.get().via == Session.Via.OIDC
    found = Entry.objects.get(action="login")
    assert (found.who, found.through, found.outcome) == ("ada", "oidc", "done")


def test_the_request_has_pkce_state_and_nonce(provider: Provider, ada: User) -> None:
    query = dict(parse_qsl(urlsplit(sent_to_provider(Client())).query))
    assert query["code_challenge_method"] == "S256"
    assert min(len(query[name]) for name in ("code_challenge", "state", "nonce")) >= 20
    assert (query["redirect_uri"], query["client_id"]) == (f"{SITE}/admin/login/oidc/back/", CLIENT)


def test_whoever_is_known_stays_the_same_user_with_another_address(provider: Provider, ada: User) -> None:
    sign_in()
    provider.claims = {"email": "other@example.org", "email_verified": False}
    browser, _ = sign_in()
    assert is_in(browser)
    assert Session.objects.filter(user=ada).count() == 2


def other_key(claims: dict[str, Any]) -> str:
    return str(jwt.encode({"alg": "RS256", "kid": "one"}, claims, RSAKey.generate_key(2048)))


def unsigned(claims: dict[str, Any]) -> str:
    parts = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


def by_secret(claims: dict[str, Any]) -> str:
    return str(jwt.encode({"alg": "HS256", "kid": "one"}, claims, OctKey.import_key(SECRET * 3)))


LATE = 3600
ATTACKS: dict[str, dict[str, Any]] = {
    "nonce": {"nonce": "of another login"},
    "no nonce": {"nonce": None},
    "audience": {"aud": "another client"},
    "audiences": {"aud": ["another client", "and another"]},
    "audience beside our party": {"aud": "another client", "azp": CLIENT},
    "issuer": {"iss": "https://attacker.example.org"},
    "expired": {"exp": int(time.time()) - LATE},
    "no expiry": {"exp": None},
    "not yet": {"nbf": int(time.time()) + LATE},
    "no subject": {"sub": None},
    "empty subject": {"sub": ""},
    "another party": {"azp": "another client"},
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_token_that_is_not_for_this_login_opens_nothing(provider: Provider, ada: User, name: str) -> None:
    provider.claims = ATTACKS[name]
    browser, answer = sign_in()
    assert answer["Location"] == "/admin/login/"
    assert not is_in(browser)
    assert not Identity.objects.exists()
    assert Entry.objects.get(action="login").outcome == "refused"


@pytest.mark.parametrize("sign", [other_key, unsigned, by_secret])
@pytest.mark.parametrize("offered", [["RS256"], ["none", "HS256", "RS256"]])
def test_a_signature_that_is_none_opens_nothing(
    provider: Provider, configure: Callable[..., None], ada: User, sign: Any, offered: list[str]
) -> None:
    provider.sign, provider.algorithms = sign, offered
    configure(scopes=f"openid email {offered[0]}")  # described anew, with these algorithms
    assert not is_in(sign_in()[0])


def test_a_state_of_another_browser_opens_nothing(provider: Provider, ada: User) -> None:
    """The answer to an attacker's login does not log a victim in."""
    back = logged_in_there(sent_to_provider(Client()))
    victim = Client()
    sent_to_provider(victim)
    assert victim.get(back)["Location"] == "/admin/login/"
    assert not is_in(victim)
    assert Client().get("/admin/login/oidc/back/?code=x&state=y")["Location"] == "/admin/login/"


def test_an_answer_counts_once(provider: Provider, ada: User) -> None:
    browser = Client()
    back = logged_in_there(sent_to_provider(browser))
    browser.get(back)
    browser.post("/admin/logout/")
    browser.get(back)
    assert not is_in(browser)


def test_a_code_of_another_login_misses_its_verifier(provider: Provider, ada: User) -> None:
    stolen = dict(parse_qsl(urlsplit(logged_in_there(sent_to_provider(Client()))).query))["code"]
    browser = Client()
    own = dict(parse_qsl(urlsplit(sent_to_provider(browser)).query))["state"]
    browser.get("/admin/login/oidc/back/", {"code": stolen, "state": own})
    assert provider.refused == ["pkce"]
    assert not is_in(browser)


@pytest.mark.parametrize("verified", [False, None, "true"])
def test_an_address_that_nobody_verified_is_nobodys(provider: Provider, ada: User, verified: Any) -> None:
    provider.claims = {"email_verified": verified}
    assert not is_in(sign_in()[0])
    assert not Identity.objects.exists()


def test_a_second_person_with_the_address_of_a_known_one_is_refused(provider: Provider, ada: User) -> None:
    sign_in()
    provider.claims = {"sub": "person-2"}
    assert not is_in(sign_in()[0])


@pytest.mark.parametrize(
    ("known", "said", "same"),
    [
        ("mike@example.org", "Mike@Example.org", True),
        ("mike@example.org", "m\u0131ke@example.org", False),  # of which PostgreSQL's upper case is the same
        ("skye@example.org", "\u017fkye@example.org", False),
        ("jos\u00e9@example.org", "jos\u00e9@example.org", True),
        ("", "mike@example.org", False),
    ],
)
def test_letters_that_only_look_the_same_are_another_address(known: str, said: str, same: bool) -> None:
    assert is_same_address(known, said) is same


def test_answers_that_prove_nothing_do_not_fill_the_audit(provider: Provider, ada: User) -> None:
    stranger = Client()
    for _ in range(70):
        assert stranger.get("/admin/login/oidc/back/?state=made-up&code=x")["Location"] == "/admin/login/"
    assert Entry.objects.filter(action="login").count() == 60
    Quota.objects.all().delete()
    assert is_in(sign_in()[0])
    assert not Quota.objects.filter(count__gt=0).exists()


def test_an_inactive_user_stays_out(provider: Provider, ada: User) -> None:
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert sign_in()[1]["Location"] == "/admin/login/"
    assert not Session.objects.exists()


def test_nobody_new_gets_in_unless_users_are_made(provider: Provider, configure: Callable[..., None], db: None) -> None:
    provider.claims = {"email": "new@example.org", "preferred_username": "new", "given_name": "Neu"}
    assert not is_in(sign_in()[0])
    assert not User.objects.filter(email="new@example.org").exists()
    configure(create_users=True)
    assert is_in(sign_in()[0])
    user = User.objects.get(username="new")
    assert (role_name(user), user.first_name, user.has_usable_password()) == ("viewer", "Neu", False)


def test_groups_give_the_role_at_each_login(provider: Provider, configure: Callable[..., None], ada: User) -> None:
    groups = {"admin": frozenset({"root"}), "operator": frozenset({"ops"}), "viewer": frozenset()}
    configure(groups=groups, create_users=True)
    new = {"email": "new@example.org", "preferred_username": "new"}
    for given, role in ((["ops", "x"], "operator"), (["ops", "root"], "admin"), ("ops", "operator")):
        provider.claims = {**new, "groups": given}
        assert is_in(sign_in()[0])
        assert role_name(User.objects.get(username="new")) == role
    for none in ([], ["x"], None, [1, {}]):
        provider.claims = {**new, "groups": none}
        assert not is_in(sign_in()[0])


def test_the_last_admin_is_not_demoted_by_a_group(
    provider: Provider, configure: Callable[..., None], ada: User
) -> None:
    configure(groups={"operator": frozenset({"ops"})})
    provider.claims = {"groups": ["ops"]}
    assert not is_in(sign_in()[0])
    assert role_name(User.objects.get(pk=ada.pk)) == "admin"


def test_what_is_asked_of_passwords_is_not_asked_of_the_provider(provider: Provider, ada: User, settings: Any) -> None:
    settings.BACKUPSITE_REQUIRE_SECOND_FACTOR = "viewer"
    Account.objects.create(user=ada, must_change_password=True)
    assert is_in(sign_in()[0])


def test_a_provider_that_is_away_is_told_of(provider: Provider, configure: Callable[..., None]) -> None:
    configure(issuer="http://127.0.0.1:9")
    answer = Client().post("/admin/login/oidc/", follow=True)
    assert "does not answer" in answer.content.decode()


def test_a_provider_that_calls_itself_otherwise_is_refused(provider: Provider, configure: Callable[..., None]) -> None:
    configure(issuer=f"{provider.url}/")
    assert "another name" in Client().post("/admin/login/oidc/", follow=True).content.decode()


def test_one_is_led_back_within_the_site_only(provider: Provider, ada: User) -> None:
    browser = Client()
    answer = browser.get(logged_in_there(sent_to_provider(browser, "https://attacker.example.org/")))
    assert answer["Location"] == "/admin/"


def test_the_button_is_there_only_where_it_is_set_up(provider: Provider, settings: Any) -> None:
    assert "Log in with Example" in Client().get("/admin/login/").content.decode()
    settings.BACKUPSITE_OIDC = None
    assert "Log in with" not in Client().get("/admin/login/").content.decode()
    for address in ("/admin/login/oidc/", "/admin/login/oidc/back/"):
        assert Client().post(address).status_code in (404, 405)
    assert Client().get("/admin/login/oidc/").status_code == 405


def test_passwords_can_be_switched_off(provider: Provider, ada: User, settings: Any) -> None:
    settings.BACKUPSITE_LOCAL_LOGIN = False
    page = Client().get("/admin/login/").content.decode()
    assert "login-form" not in page
    assert "Log in with Example" in page
    browser = Client()
    browser.post("/admin/login/", {"username": "ada", "password": PASSWORD})
    assert not is_in(browser)
    answer = APIClient().post("/api/token", {"username": "ada", "password": PASSWORD}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (401, "no_local_login")
    assert is_in(sign_in()[0])


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"ISSUER": "http://id.example.org"}, "https"),
        ({"ISSUER": "https://id.example.org"}, "CLIENT_ID"),
        ({"ISSUER": "https://id.example.org", "CLIENT_ID": "x", "CREATE_USERS": "yes"}, "PUBLIC_URL"),
    ],
)
def test_a_provider_that_cannot_be_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], fault: str
) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"BACKUPSITE_OIDC_{name}", value)
    with pytest.raises(ImproperlyConfigured, match=fault):
        single_sign_on.provider_settings()


def test_what_the_environment_says_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    assert single_sign_on.provider_settings() is None
    secret = tmp_path / "secret"
    secret.write_text("kept\n")
    given = {"ISSUER": "https://id.example.org", "CLIENT_ID": "x", "CLIENT_SECRET_FILE": str(secret)}
    for name, value in {**given, "ADMIN_GROUPS": "root, wheel"}.items():
        monkeypatch.setenv(f"BACKUPSITE_OIDC_{name}", value)
    monkeypatch.setenv("BACKUPSITE_PUBLIC_URL", "https://b.example.org")
    found = single_sign_on.provider_settings()
    assert found is not None
    assert (found.client_secret, sorted(found.groups["admin"]), found.create_users) == (
        "kept",
        ["root", "wheel"],
        False,
    )
    assert "kept" not in repr(found)

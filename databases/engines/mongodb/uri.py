"""MongoDB's connection strings, taken apart and put together without asking DNS."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, quote, unquote, urlencode

SCHEMES = ("mongodb://", "mongodb+srv://")


@dataclass(frozen=True)
class Uri:
    """`user` and `password` are plain text; `hosts` is as written; `parameters` keep their order."""

    scheme: str
    hosts: str
    user: str = ""
    password: str = ""
    database: str = ""
    parameters: tuple[tuple[str, str], ...] = ()

    def having(self, *parameters: tuple[str, str]) -> "Uri":
        """With these parameters, in the place of those of the same name (which case does not tell apart)."""
        names = {name.lower() for name, _ in parameters}
        kept = tuple(pair for pair in self.parameters if pair[0].lower() not in names)
        return replace(self, parameters=kept + parameters)

    def has(self, name: str) -> bool:
        return any(own.lower() == name.lower() for own, _ in self.parameters)

    def text(self) -> str:
        who = ""
        if self.user:
            who = quote(self.user, safe="")
            who += (":" + quote(self.password, safe="") if self.password else "") + "@"
        return f"{self.scheme}{who}{self.hosts}/{quote(self.database, safe='')}?{_query(self.parameters)}"


def _query(parameters: Sequence[tuple[str, str]]) -> str:
    return urlencode(parameters, quote_via=quote)


def split(text: str) -> Uri:
    """Raises ValueError with a text for the operator, which never repeats the string: it holds a password."""
    scheme = next((scheme for scheme in SCHEMES if text.startswith(scheme)), None)
    if scheme is None:
        raise ValueError("Begin it with mongodb:// or mongodb+srv://.")
    if any(char.isspace() or not char.isprintable() for char in text):
        raise ValueError("It holds no blanks, line breaks or control characters: write them as %20 and the like.")
    before, _, query = text.removeprefix(scheme).partition("?")
    who, at, place = before.rpartition("@")
    hosts, _, database = place.partition("/")
    if "/" in who or "@" in who:
        raise ValueError("Write / and @ in user name and password as %2F and %40.")
    user, _, password = who.partition(":")
    if at and not user:
        raise ValueError("It holds a password and no user name.")
    if not hosts or any(not _is_host(host) for host in hosts.split(",")):
        raise ValueError("Name a host, or several with commas between them, as host or host:port.")
    if scheme == SCHEMES[1] and ("," in hosts or ":" in hosts):
        raise ValueError("A mongodb+srv:// address has one host name and no port.")
    return Uri(
        scheme,
        hosts,
        unquote(user),
        unquote(password),
        unquote(database),
        tuple(parse_qsl(query, keep_blank_values=True)),
    )


def _is_host(text: str) -> bool:
    name, bracket, port = text.rpartition("]")
    if bracket:  # an IPv6 address
        return name.startswith("[") and (not port or (port[0] == ":" and _is_port(port[1:])))
    name, colon, port = text.partition(":")
    return bool(name) and (not colon or _is_port(port))


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535

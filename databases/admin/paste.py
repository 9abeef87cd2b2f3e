"""The box for a connection string. A script spreads it over the fields; what is still in it is read when it is sent."""

from typing import Any

from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from databases.connection_string import SCHEMES, read_connection_string
from jobs.admin.forms import SecretField, SecretWidget
from jobs.errors import BackupError

NAME = "connection_string"
EXAMPLES = {
    "postgres": "postgres://user:password@host:5432/database",
    "mongodb": "mongodb+srv://user:password@cluster.example.org/database",
    "s3": "s3://access-key:secret-key@bucket/prefix?region=eu-central-1",
    "http": "https://user:password@service.example.org/api/records",
    "sqlite": "sqlite:////srv/shop/shop.sqlite3",
}


class PasteWidget(SecretWidget):
    template_name = "databases/paste.html"

    def __init__(self, *, engine: str) -> None:
        super().__init__(removable=False)
        self.engine = engine

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        said = {"engine": self.engine, "example": EXAMPLES[self.engine]}
        return render_to_string(self.template_name, {**self.get_context(name, value, attrs), **said})


class PasteField(SecretField):
    """Never shown again, as other secrets."""

    def __init__(self, *, engine: str) -> None:
        super().__init__(removable=False, label=_("Connection string"))
        self.widget = PasteWidget(engine=engine)


def paste_fields(engine: str) -> dict[str, PasteField]:
    """None for an engine that nobody writes connection strings of."""
    return {NAME: PasteField(engine=engine)} if engine in SCHEMES and engine in EXAMPLES else {}


def spread(data: Any, *, engine: str) -> tuple[Any, str]:
    """The form as it was sent, with what its connection string says in the fields; and what is wrong with that."""
    text = data.get(NAME, "")
    if not text.strip():
        return data, ""
    try:
        read = read_connection_string(text, engine=engine)
    except BackupError as error:
        return data, str(error)
    said = {**read.fields, **{name: span.of(text) for name, span in read.secrets.items()}, NAME: ""}
    filled = data.copy()
    for name, value in said.items():
        filled[name] = value
        if value is False:  # a browser says nothing of a box without a tick
            del filled[name]
    return filled, ""

"""What the pages say is in every catalogue, each compiled one is its source, and Spanish lacks nothing."""

import gettext
import io
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_python
from babel.messages.pofile import read_po
from django.conf import settings
from django.urls import get_resolver
from django.utils.translation.template import templatize

from backups.admin.destination_page import FAULTS
from databases.admin.option_words import HELPS
from databases.admin.options import LABELS
from databases.admin.words import SAID
from databases.engines import registry
from databases.engines.option_fields import fields_of
from jobs.admin.forms import PageForm

ROOT = Path(__file__).resolve().parents[2]
LOCALES = sorted(path.parent for path in (ROOT / "locale").glob("*/LC_MESSAGES/django.po"))
ROOMS = ("accounts", "audit", "backups", "backupsite", "databases", "exports", "jobs", "notifications", "packages")
# As Django's makemessages has them: where the context, the text and its plural stand among the arguments.
SINGULAR = ("gettext", "gettext_lazy", "gettext_noop", "_")
PLURAL = ("ngettext", "ngettext_lazy")
CONTEXT = ("pgettext", "pgettext_lazy")
CONTEXT_PLURAL = ("npgettext", "npgettext_lazy")
# %(name)s and %s of Python, {name} of scripts and of str.format; a sign of per cent that stands for itself.
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[a-z%]|\{\w*\}")
TAG = re.compile(r"</?\w+>")

Known = tuple[str | None, str, str | None]  # context, text, plural


def _texts(found: object) -> tuple[str | None, ...]:
    return tuple(found) if isinstance(found, (tuple, list)) else (str(found),)


def _said(code: str) -> Iterator[Known]:
    for _line, function, found, _comments in extract_python(
        io.BytesIO(code.encode()),
        dict.fromkeys((*SINGULAR, *PLURAL, *CONTEXT, *CONTEXT_PLURAL)),
        [],
        {"encoding": "utf-8"},
    ):
        texts = _texts(found)
        if texts[0] is None:
            continue  # what is said is known only when it is said
        if function in SINGULAR:
            yield None, texts[0], None
        elif function in PLURAL:
            yield None, texts[0], texts[1]
        elif function in CONTEXT:
            yield texts[0], str(texts[1]), None
        else:
            yield texts[0], str(texts[1]), texts[2]


@cache
def said() -> set[Known]:
    """Every text that pages mark for translation."""
    found: set[Known] = set()
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            found.update(_said(path.read_text()))
    for path in sorted((ROOT / "templates").rglob("*.*")):
        # What templatize leaves of the rest is no Python that could be indented; each marked text is a call in it.
        found.update(_said("\n".join(line.strip() for line in templatize(path.read_text()).splitlines())))
    return found


def catalog(folder: Path) -> Catalog:
    with (folder / "django.po").open("rb") as file:
        return read_po(file)


def messages(folder: Path) -> list[Message]:
    return [message for message in catalog(folder) if message.id]


def known(message: Message) -> Known:
    text = message.id if isinstance(message.id, str) else message.id[0]
    return message.context, text, None if isinstance(message.id, str) else message.id[1]


def forms(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string or ())


@pytest.fixture(params=LOCALES, ids=lambda folder: folder.parent.name)
def folder(request: pytest.FixtureRequest) -> Path:
    chosen: Path = request.param
    return chosen


def test_the_languages_that_a_reader_may_choose_are_those_with_a_catalogue() -> None:
    assert {code for code, _name in settings.LANGUAGES} == {"en", *(path.parent.name for path in LOCALES)}
    for code, _name in settings.LANGUAGES[1:]:
        assert (ROOT / "backupsite" / "formats" / code / "formats.py").is_file(), code


def test_every_marked_text_is_in_the_catalogue_and_no_other(folder: Path) -> None:
    """If not: make messages."""
    have, want = {known(message)[:2] for message in messages(folder)}, {text[:2] for text in said()}
    assert want - have == set(), "not gathered"
    assert have - want == set(), "said by nothing any more"


def test_what_is_compiled_is_what_was_written(folder: Path) -> None:
    """If not: make messages."""
    with (folder / "django.mo").open("rb") as file:
        compiled = dict(gettext.GNUTranslations(file)._catalog)  # type: ignore[attr-defined]
    written: dict[str | tuple[str, int], str] = {}
    for message in messages(folder):
        context, text, plural = known(message)
        key = f"{context}\x04{text}" if context else text
        if message.fuzzy or not all(forms(message)):
            continue
        if plural is None:
            written[key] = forms(message)[0]
        else:
            written |= {(key, number): form for number, form in enumerate(forms(message))}
    compiled.pop("")
    assert compiled == written


def test_spanish_is_whole() -> None:
    found = messages(ROOT / "locale" / "es" / "LC_MESSAGES")
    assert [known(message)[1] for message in found if message.fuzzy] == []
    assert [known(message)[1] for message in found if not all(forms(message))] == []


def test_what_engines_say_of_themselves_is_named_for_translators() -> None:
    for kind in registry.kinds():
        engine = registry.engine_class(kind)
        assert {engine.item, f"{engine.item}s", engine.unit, f"{engine.unit}s", engine.about} <= set(SAID), kind


def test_so_is_what_they_say_of_their_options() -> None:
    for kind in registry.kinds():
        for option in fields_of(registry.engine_class(kind).Options):
            assert option.name in LABELS, option.name
            assert not option.help or option.help in HELPS, option.name


def test_every_field_of_a_form_has_a_name_for_translators() -> None:
    assert get_resolver().url_patterns  # what the site serves is imported with them
    forms = [PageForm]
    for form in forms:
        forms += form.__subclasses__()
    fields = [(form.__name__, name, field) for form in forms for name, field in form.base_fields.items()]
    assert len(fields) > 50
    assert [(form, name) for form, name, field in fields if field.label is None] == []


def test_so_is_what_is_found_at_destinations() -> None:
    found = re.compile(r"code=\"(destination_\w+)\"")
    codes = {code for path in (ROOT / "backups").rglob("*.py") for code in found.findall(path.read_text())}
    assert len(codes) > 5
    assert {code.replace("_", " ") for code in codes} <= set(FAULTS)


def test_placeholders_and_tags_are_those_of_the_source(folder: Path) -> None:
    wrong = []
    for message in messages(folder):
        _context, text, plural = known(message)
        for number, form in enumerate(forms(message)):
            source = text if plural is None or number == 0 else plural
            asked = [sorted(pattern.findall(source)) for pattern in (PLACEHOLDER, TAG)]
            if form and [sorted(pattern.findall(form)) for pattern in (PLACEHOLDER, TAG)] != asked:
                wrong.append((source, form))
    assert wrong == []


def test_a_translation_breaks_no_attribute_and_no_line(folder: Path) -> None:
    """Texts stand in attributes of HTML too, where a quotation mark would end them."""
    for message in messages(folder):
        source = known(message)[1]
        for form in filter(None, forms(message)):
            assert ('"' in form) <= ('"' in source), form
            assert ("<" in form) <= ("<" in source), form
            assert form.startswith(" ") == source.startswith(" ") and form.endswith(" ") == source.endswith(" "), form
            assert ("\n" in form) == ("\n" in source), form

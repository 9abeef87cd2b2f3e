"""The section `exports` of config.yaml: what users may ask for, and where their data is."""

import pytest

from backupsite.config.apply import apply_document
from backupsite.config.export import export_config
from backupsite.config.reading import ConfigRefused, read_text
from exports.models import ExportPolicy, Source
from jobs.fields import unseal

pytestmark = pytest.mark.django_db

TEXT = """
exports:
  creations_per_hour: 5
  link_days: 3
  sources:
    - id: posts
      kind: http
      name: The posts
      options:
        url: https://posts.internal/users/{pubkey}/{collection}
        collection: posts, drafts
        auth: bearer
        token: ${TOKEN}
"""
ENVIRON = {"TOKEN": "secret-of-posts"}


def apply(text: str, **how: bool) -> list[str]:
    return [str(change) for change in apply_document(document=read_text(text, environ=ENVIRON), **how)]


def test_a_source_and_the_policy_come_from_the_file_and_twice_is_a_no_op() -> None:
    assert apply(TEXT) == ["create export policy", "create export source posts"]
    source = Source.objects.get()
    assert (source.managed, source.secret_names) == (True, ["options.token"])
    assert unseal(source.secrets)["options"] == {"token": "secret-of-posts"}
    assert ExportPolicy.objects.get().creations_per_hour == 5
    assert apply(TEXT) == []


def test_every_fault_is_told_with_its_line() -> None:
    wrong = TEXT.replace("https://posts.internal/users/{pubkey}/", "https://posts.internal/").replace(
        "link_days: 3", "link_days: 0"
    )
    with pytest.raises(ConfigRefused) as raised:
        apply(wrong)
    assert [fault.line for fault in raised.value.faults] == [4]
    with pytest.raises(ConfigRefused) as raised:
        apply(wrong.replace("link_days: 0", "link_days: 3"))
    assert [(fault.line, "{pubkey}" in str(fault)) for fault in raised.value.faults] == [(10, True)]
    assert not Source.objects.exists()


def test_a_source_that_the_file_leaves_out_goes_only_when_told_to() -> None:
    apply(TEXT)
    without = TEXT.partition("  sources:")[0]
    assert apply(without) == ["left over export source posts"]
    assert apply(without, prune=True) == ["delete export source posts"]


def test_the_site_as_a_file_holds_no_secret_and_is_read_back_without_a_change() -> None:
    apply(TEXT)
    exported = export_config()
    assert "secret-of-posts" not in exported
    assert "${POSTS_TOKEN}" in exported
    document = read_text(exported, environ={"POSTS_TOKEN": "secret-of-posts"})
    assert [str(change) for change in apply_document(document=document) if "export" in change.kind] == []

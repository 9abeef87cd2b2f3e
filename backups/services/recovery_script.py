"""A shell script that fetches the newest backup of the site from one Destination, with curl, age and zstd alone."""

from hashlib import sha256
from shlex import quote as shell
from urllib.parse import quote

from backups.models import Destination
from backups.services.protect_self import SELF_ID
from jobs.fields import unseal

NO_BODY = sha256(b"").hexdigest()

HEAD = """#!/usr/bin/env bash
# Fetches the newest backup of the site itself from {name}, checks it, and opens it into ./data.
set -euo pipefail
umask 077
cd "$(dirname "$0")"
identity=${{IDENTITY:-data/keys/age_identity}}
"""

LOCAL = """
folder=${{FOLDER:-{path}}}
newest() {{
  (cd "$folder" && find {own} -name '*.manifest.json' 2>/dev/null) | LC_ALL=C sort | tail -n 1
}}
fetch() {{ cp -- "$folder/$1" "$2"; }}
"""

S3 = """
bucket={bucket}
prefix={prefix}
get() {{ curl --fail --silent --show-error --config {config} "$@"; }}
newest() {{
  # A page holds a thousand keys; an artefact is whole when its sidecar lies beside it.
  local after={own} begin=${{prefix//\\//%2F}} page last='' found
  while :; do
    page=$(get "$bucket?list-type=2&prefix=${{begin}}{own}%2F&start-after=$begin${{after//\\//%2F}}") || return
    page=$(grep -o '{own}/[0-9]\\{{4\\}}/[0-9]\\{{2\\}}/[a-z0-9_.-]*</Key>' <<<"$page" | sed 's/<.*//') || break
    after=$(tail -n 1 <<<"$page")
    found=$(grep '\\.manifest\\.json$' <<<"$page" | tail -n 1) && last=$found
  done
  echo "$last"
}}
fetch() {{ get --output "$2" "$bucket/$prefix$1"; }}
"""

REST = """
sidecar=$(newest)
[ -n "$sidecar" ] || { echo "There is no backup of the site here." >&2; exit 1; }
key=${sidecar%.manifest.json}
file=$(basename "$key")
echo "fetching $key" >&2
fetch "$sidecar" "$file.manifest.json"
fetch "$key" "$file"
sum=$(sed -n 's/^ *"sha256": "\\([0-9a-f]\\{64\\}\\)".*/\\1/p' "$file.manifest.json" | head -n 1)
echo "$sum  $file" | sha256sum --check --quiet

open() {
  case $1 in
    *.age) open "${1%.age}" "$2" | age --decrypt --identity "$identity" ;;
    *) cat "$2" ;;
  esac
}
plain=${file%.age}
case $plain in
  *.zst) expand='zstd --decompress --quiet --stdout'; plain=${plain%.zst} ;;
  *.gz) expand='gzip --decompress --stdout'; plain=${plain%.gz} ;;
  *) expand=cat ;;
esac
case $plain in
  *.sqlite3) target=data/backupsite.sqlite3 ;;
  *) target=site.${plain##*.} ;;
esac
[ ! -e "$target" ] || { echo "$target is there already; move it away first." >&2; exit 1; }
mkdir -p data
open "$file" "$file" | $expand > "$target.partial"
mv "$target.partial" "$target"
echo "opened as $target" >&2
case $plain in
  *.sqlite3) ;;
  *.sql) echo "next: psql --set ON_ERROR_STOP=1 -d postgres://... -f $target" >&2 ;;
  *) echo "next: pg_restore --exit-on-error --no-owner -d postgres://... $target" >&2 ;;
esac
"""


def script_name(destination: Destination) -> str:
    return f"fetch-{destination.pk}.sh"


def config_name(destination: Destination) -> str:
    return f"curl-{destination.pk}.conf"


def login_name(destination: Destination) -> str:
    return f"login-{destination.pk}"


def ca_name(destination: Destination) -> str:
    return f"ca-{destination.pk}.pem"


def fetch_script(destination: Destination) -> str:
    head = HEAD.format(name=destination.pk)
    if destination.kind == Destination.Kind.LOCAL:
        return head + LOCAL.format(path=shell(destination.path), own=SELF_ID) + REST
    values = {
        "bucket": shell(f"{_endpoint(destination)}/{quote(destination.bucket)}"),
        "prefix": shell(f"{quote(path)}/" if (path := destination.prefix.strip("/")) else ""),
        "config": config_name(destination),
        "own": SELF_ID,
    }
    return head + S3.format(**values) + REST


def curl_config(destination: Destination) -> str:
    """The keys lie in a file beside it: whoever lists processes sees no command line with them."""
    lines = [f'aws-sigv4 = "aws:amz:{_region(destination)}:s3"', f'header = "x-amz-content-sha256: {NO_BODY}"']
    lines.append(f'netrc-file = "{login_name(destination)}"')
    if destination.ca:
        lines.append(f'cacert = "{ca_name(destination)}"')
    return "\n".join(lines)


def login(destination: Destination) -> str:
    if not destination.access_key:
        return "# The host's own role signed here. Write: default login ACCESS_KEY password SECRET_KEY"
    secret = unseal(destination.secrets).get("secret_key", "")
    return f"default login {_netrc(destination.access_key)} password {_netrc(secret)}"


def _netrc(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _region(destination: Destination) -> str:
    return destination.region or "us-east-1"


def _endpoint(destination: Destination) -> str:
    return (destination.endpoint_url or f"https://s3.{_region(destination)}.amazonaws.com").rstrip("/")

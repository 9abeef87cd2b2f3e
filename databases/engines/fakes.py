"""What masking makes up. Equal digests give equal things, so that equal values stay equal within one restore."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST = _words(
    "Ada Aino Alba Amir Anna Arne Asha Axel Bela Bruno Cara Chen Dara David Dina Elif Emil Enzo Erik Eva Fatma Felix "
    "Fiona Frida Goran Greta Hana Hugo Ida Igor Ines Ivan Jana Jonas Juan Kaja Karim Kira Lara Lars Lea Leon Lina Luca "
    "Maja Marc Mei Mila Nina Noah Nora Olga Omar Oskar Paula Petra Rosa Sami Sara Sven Tara Timo Uma Zoe"
)
LAST = _words(
    "Abel Adler Ames Arnold Bach Bauer Bell Berg Blum Brandt Cole Conti Cruz Dahl Diaz Dorn Engel Falk Fink Fox Frank "
    "Gold Grant Haas Hahn Hall Hart Hill Horn Huber Jansen Kaya Keller Klein Koch Kovac Lang Lee Lind Lopez Lund Marsh "
    "Meyer Moore Mora Nagy Novak Okoye Olsen Park Perez Quinn Reed Rossi Roy Sato Silva Stone Tanaka Vega Wolf Wood "
    "Yilmaz Young"
)
WORDS = _words(
    "amber anchor basin birch breeze canyon cedar cloud copper coral delta ember falcon field forest garden glacier "
    "harbour hazel island ivory lagoon lantern maple meadow mist ocean olive pebble river silver willow"
)
WORDS_IN_TEXT = 6
KINDS = ("email", "name", "phone", "text")


def fake(kind: str, digest: bytes) -> str:
    """`digest` has 32 bytes. PostgreSQL makes the same things in mask.sql.

    `example.com` is nobody's (RFC 2606), and no country has the code 999.
    """
    if kind == "email":
        return f"user.{digest.hex()[:12]}@example.com"
    if kind == "phone":
        return f"+999{(int.from_bytes(digest[:8], 'big') & (2**63 - 1)) % 10**12:012d}"
    if kind == "name":
        return f"{FIRST[digest[0] % len(FIRST)]} {LAST[digest[1] % len(LAST)]}"
    return " ".join(WORDS[digest[at] % len(WORDS)] for at in range(WORDS_IN_TEXT))

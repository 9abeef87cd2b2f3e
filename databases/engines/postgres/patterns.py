"""pg_dump's name patterns as regular expressions (psql's rules: folding, quotes, `*`, `?`, `schema.name`)."""


def expression(pattern: str) -> tuple[str | None, str]:
    """`(schema, name)` as anchored POSIX expressions; schema is None when the pattern names none."""
    parts = [""]
    quoted = False
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if char == '"':
            if quoted and pattern[position + 1 : position + 2] == '"':
                parts[-1] += '"'
                position += 1
            else:
                quoted = not quoted
        elif not quoted and char == ".":
            parts.append("")
        elif not quoted and char in "*?":
            parts[-1] += ".*" if char == "*" else "."
        elif char == "$" or (quoted and char in "|*+?()[]{}.^\\"):
            parts[-1] += "\\" + char
        else:
            parts[-1] += char if quoted else char.lower()
        position += 1
    anchored = [f"^({part})$" for part in parts[-2:]]
    return (anchored[0], anchored[1]) if len(anchored) == 2 else (None, anchored[0])

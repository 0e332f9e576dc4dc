"""What `ps`, `images` and the other lists print: a table, ids alone, JSON lines, or a template of fields."""

from __future__ import annotations

from sampan.cli.errors import UsageError

Row = dict[str, object]


def show(rows: list[Row], columns: tuple[tuple[str, str], ...], template: str = "", quiet: str = "") -> None:
    """Print `rows`. `columns` are (title, field) of the default table; `quiet` names the only field to print."""
    if quiet:
        lines = [str(row[quiet]) for row in rows]
    elif template in ("", "table"):
        lines = _table([title for title, _ in columns], [[str(row[field]) for _, field in columns] for row in rows])
    elif template.startswith("table "):
        body = template[6:].replace("\\t", "\t")
        titles = {field: title for title, field in columns}
        head = render(body, {field: titles.get(field, field.upper()) for field in (rows[0] if rows else titles)})
        lines = _table(head.split("\t"), [render(body, row).split("\t") for row in rows])
    else:
        lines = [render(template, row) for row in rows]
    if lines:
        print("\n".join(lines))


def _table(titles: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(line[index]) for line in [titles, *rows]) for index in range(len(titles))]
    return [
        "   ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [titles, *rows]
    ]


def render(template: str, value: object) -> str:
    """Return a template filled in: `json`, `{{.A.B}}`, `{{json .A}}`; nothing else of Go's language.

    Raises:
        UsageError: another construct, or a field that is not there.
    """
    if template == "json":
        template = "{{json .}}"
    out, rest = "", template.replace("\\t", "\t").replace("\\n", "\n")
    while "{{" in rest:
        before, _, rest = rest.partition("{{")
        inside, closed, rest = rest.partition("}}")
        if not closed:
            raise UsageError(f"template: '{{{{' without '}}}}' in {template!r}.")
        out += before + _expression(inside.strip(" -"), value)
    return out + rest


def _expression(text: str, value: object) -> str:
    as_json = text.startswith("json ")
    path = text.removeprefix("json ").strip()
    if not path.startswith(".") or any(mark in path for mark in ' ()|"$'):
        raise UsageError(
            f"template: {{{{{text}}}}} is not understood: here are only {{{{.Field.Path}}}} and {{{{json .Path}}}}. "
            "For more use --format json with jq, or the docker CLI."
        )
    for name in filter(None, path.split(".")):
        value = _field(value, name, text)
    if as_json:
        import json

        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _plain(value)


def _field(value: object, name: str, text: str) -> object:
    if isinstance(value, dict) and name in value:
        return value[name]
    from sampan.cli.flags import nearest

    known = [str(key) for key in value] if isinstance(value, dict) else []
    raise UsageError(f"template: {{{{{text}}}}}: there is no field {name}{nearest(name, known, '.')}")


def _plain(value: object) -> str:
    """A value as Go's `%v` writes it, for the types that JSON has."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "<nil>"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{_plain(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(_plain(item) for item in value) + "]"
    return str(value)

from __future__ import annotations

import pytest

from sampan.cli.errors import UsageError
from sampan.cli.table import render, show

COLUMNS = (("NAME", "Name"), ("COUNT", "Count"))
ROWS = [{"Name": "a", "Count": 1}, {"Name": "longer", "Count": 22}]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{.State.Pid}}", "12"),
        ("{{ .Name }}!", "web!"),
        ("{{json .State}}", '{"Pid":12,"Running":true}'),
        ("{{.State}}", "map[Pid:12 Running:true]"),
        ("{{.Args}}\\t{{.Nothing}}", "[a b]\t<nil>"),
        ("{{json .}}", '{"Name":"web","State":{"Pid":12,"Running":true},"Args":["a","b"],"Nothing":null}'),
    ],
)  # fmt: skip
def test_templates(template, text):
    value = {"Name": "web", "State": {"Pid": 12, "Running": True}, "Args": ["a", "b"], "Nothing": None}
    assert render(template, value) == text


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{.Nmae}}", r"no field Nmae. Did you mean .Name\?"),
        ("{{range .X}}", "is not understood"),
        ("{{.Name", "without"),
    ],
)
def test_wrong_templates_say_why(template, message):
    with pytest.raises(UsageError, match=message):
        render(template, {"Name": "web"})


def test_columns_line_up(capsys):
    show(ROWS, COLUMNS)
    assert capsys.readouterr().out == "NAME     COUNT\na        1\nlonger   22\n"


def test_forms(capsys):
    show(ROWS, COLUMNS, quiet="Name")
    show(ROWS, COLUMNS, "json")
    show(ROWS, COLUMNS, "table {{.Count}}\\t{{.Name}}")
    out = capsys.readouterr().out
    assert (
        out
        == 'a\nlonger\n{"Name":"a","Count":1}\n{"Name":"longer","Count":22}\nCOUNT   NAME\n1       a\n22      longer\n'
    )

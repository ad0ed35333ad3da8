"""Holds the Parquet files of an export against its lines, as pyarrow and DuckDB read them, and runs the statements of docs/SQL.md."""

import json
import pathlib
import re


def lines(file: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().split("\n") if line]


def alike(value, expected) -> bool:
    """Whether a value of a table is one of a line: nulls are members that are not there, and any JSON may be held as text."""
    if isinstance(expected, dict) and isinstance(value, str):
        return json.loads(value) == expected
    if isinstance(expected, dict) and isinstance(value, dict):
        value = {name: one for name, one in value.items() if one is not None}
        return list(value) == list(expected) and all(alike(value[name], expected[name]) for name in expected)
    if isinstance(expected, list) and isinstance(value, list):
        return len(value) == len(expected) and all(map(alike, value, expected))
    return type(value) is type(expected) and value == expected


def compare(case, folder: pathlib.Path) -> None:
    import duckdb
    import pyarrow.parquet

    files = {f"{file.parent.name}/{file.name}" for of in ["data", "parquet"] for file in (folder / of).iterdir()}
    case.assertEqual(set(json.loads((folder / "manifest.json").read_text())["files"]), files)
    receipt = {one["path"]: one["rows"] for one in json.loads((folder / "receipt.json").read_text())["outputs"]}
    for file in (folder / "data").iterdir():
        expected = lines(file)
        table = folder / "parquet" / f"{file.stem}.parquet"
        case.assertEqual(receipt[f"parquet/{table.name}"], len(expected))
        relation = duckdb.sql(f"SELECT * FROM read_parquet('{table}')")
        by_duckdb = [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]
        for reader, rows in [("pyarrow", pyarrow.parquet.read_table(table).to_pylist()), ("duckdb", by_duckdb)]:
            case.assertEqual(len(rows), len(expected), reader)
            for row, line in zip(rows, expected, strict=True):
                case.assertTrue(alike(row, line), f"{reader}, {table.name}: {row} is not {line}")


def statements() -> list[str]:
    text = pathlib.Path("docs/SQL.md").read_text()
    return re.findall(r"^```sql\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)

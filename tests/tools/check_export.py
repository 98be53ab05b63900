"""Opens exports of the log with pyarrow, DuckDB, Python's csv and age.

check_export.py same FOLDER      asserts that each FOLDER/log.* has the rows of FOLDER/rows.ndjson (the API's rows)
check_export.py empty FOLDER     asserts that FOLDER/empty.* have no rows, and the right columns
check_export.py ask FOLDER       runs the SQL statements on standard input (a JSON list) in FOLDER; prints a JSON list
                                 of their rows, null for a statement without a result
"""

import csv
import datetime
import json
import pathlib
import sys

import duckdb
import pyarrow
import pyarrow.parquet
import pyrage

TEXT = pyarrow.string()
SCHEMA = {
    "at": pyarrow.timestamp("us", tz="UTC"),
    "kind": TEXT,
    "request": TEXT,
    "account": TEXT,
    "device": TEXT,
    "ip": TEXT,
    "handle": TEXT,
    "route": TEXT,
    "reason": TEXT,
    "status": pyarrow.int32(),
    "took_us": pyarrow.int64(),
    "change": TEXT,
    "cause": TEXT,
    "count": pyarrow.int64(),
}
DUCKDB = {"at": "TIMESTAMP WITH TIME ZONE", "status": "INTEGER", "took_us": "BIGINT", "count": "BIGINT"}
# The documents' statement for reading a CSV file.
CSV = """SELECT * REPLACE (regexp_replace(handle, '^''', '') AS handle)
         FROM read_csv('{}', types = {{'status': 'INTEGER', 'took_us': 'BIGINT', 'count': 'BIGINT'}})"""


def duck_types(connection, query):
    return {row[0]: row[1] for row in connection.execute(f"DESCRIBE {query}").fetchall()}


def rows_of(table):
    """The rows sorted by time, because an export has storage order."""
    rows = table.to_pylist()
    return sorted(rows, key=lambda row: row["at"]) if "at" in table.column_names else rows


def row_of(record):
    """Converts a row of the API: every column, None where the record has no value."""
    row = {name: record.get(name) for name in SCHEMA}
    row["at"] = datetime.datetime.fromisoformat(row["at"])
    return row


def same(folder):
    text = (folder / "rows.ndjson").read_bytes()
    expected = [row_of(json.loads(line)) for line in text.splitlines()]
    assert len(expected) > 10 and all(
        any(row[name] is None for row in expected) for name in SCHEMA if name not in ("at", "kind")
    ), "a column has no null in the planted rows"
    connection = duckdb.connect()

    parquet = folder / "log.parquet"
    table = pyarrow.parquet.read_table(parquet)
    assert {field.name: field.type for field in table.schema} == SCHEMA, table.schema
    assert table.column_names == list(SCHEMA)
    assert rows_of(table) == expected, "pyarrow reads different rows"
    query = f"SELECT * FROM '{parquet}'"
    types = duck_types(connection, query)
    assert types == {name: DUCKDB.get(name, "VARCHAR") for name in SCHEMA}, types
    assert rows_of(connection.sql(query).to_arrow_table()) == expected, "DuckDB reads different rows"

    with open(folder / "log.csv", newline="", encoding="utf-8") as file:
        cells = list(csv.reader(file, strict=True))
    assert cells.pop(0) == list(SCHEMA)
    assert len(cells) == len(expected)
    at = list(SCHEMA).index("at")
    cells.sort(key=lambda row: datetime.datetime.fromisoformat(row[at]))
    for row, wanted in zip(cells, expected):
        for cell in row:
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")), cell
        row = dict(zip(SCHEMA, row))
        row["handle"] = row["handle"].removeprefix("'")
        assert datetime.datetime.fromisoformat(row.pop("at")) == wanted["at"]
        for name, cell in row.items():
            assert cell == ("" if wanted[name] is None else str(wanted[name])), (name, cell)
    query = CSV.format(folder / "log.csv")
    types = duck_types(connection, query)
    assert types == {name: DUCKDB.get(name, "VARCHAR") for name in SCHEMA}, types
    assert rows_of(connection.sql(query).to_arrow_table()) == expected, "DuckDB reads different rows from CSV"

    ndjson = folder / "log.ndjson"
    lines = sorted(ndjson.read_bytes().splitlines(), key=lambda line: json.loads(line)["at"])
    assert lines == text.splitlines(), "NDJSON differs from the API's rows"
    columns = "handle, status, took_us, cause"
    query = f"SELECT {columns} FROM read_json('{ndjson}') ORDER BY \"at\""
    wanted = [{name: row[name] for name in columns.split(", ")} for row in expected]
    assert rows_of(connection.sql(query).to_arrow_table()) == wanted, "DuckDB reads different rows from JSON"

    encrypted = (folder / "log.parquet.age").read_bytes()
    for handle in {row["handle"] for row in expected if row["handle"]}:
        assert handle.encode() not in encrypted and handle.strip("+").encode() not in encrypted
    assert b"PAR1" not in encrypted
    identity = pyrage.x25519.Identity.from_str((folder / "identity").read_text().strip())
    assert pyrage.decrypt(encrypted, [identity]) == parquet.read_bytes(), "the decrypted file differs from the plain one"


def empty(folder):
    table = pyarrow.parquet.read_table(folder / "empty.parquet")
    assert {field.name: field.type for field in table.schema} == SCHEMA and table.num_rows == 0
    connection = duckdb.connect()
    query = f"SELECT * FROM '{folder / 'empty.parquet'}'"
    assert duck_types(connection, query)["at"] == DUCKDB["at"]
    assert connection.execute(query).fetchall() == []
    assert (folder / "empty.csv").read_text() == ",".join(SCHEMA) + "\n"
    assert (folder / "empty.ndjson").read_bytes() == b""


def ask(folder):
    connection = duckdb.connect()
    connection.execute(f"SET file_search_path = '{folder}'")
    answers = []
    for statement in json.load(sys.stdin):
        relation = connection.sql(statement)
        answers.append(None if relation is None else rows_of(relation.to_arrow_table()))
    instant = lambda at: at.astimezone(datetime.timezone.utc).isoformat()
    json.dump(answers, sys.stdout, default=instant)


{"same": same, "empty": empty, "ask": ask}[sys.argv[1]](pathlib.Path(sys.argv[2]))

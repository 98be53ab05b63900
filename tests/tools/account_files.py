"""Writes files of accounts as pandas, polars, DuckDB and pyarrow write them.

account_files.py FOLDER    reads FOLDER/accounts.csv and FOLDER/accounts.parquet, two exports of the same accounts, and writes

    FOLDER/same/*       those accounts, in every way that the tools have
    FOLDER/ids/*        a few accounts whose ids are numbers or UUIDs, and whose columns have no values
    FOLDER/refused/*    files that an import refuses; FOLDER/refused.json says which words name the reason
"""

import datetime
import json
import pathlib
import sys
import uuid

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.feather
import pyarrow.parquet

INSTANTS = ["last_check_in_at", "proved_at", "registered_at"]
folder = pathlib.Path(sys.argv[1])
for group in ["same", "ids", "refused"]:
    (folder / group).mkdir()


def with_pandas():
    frame = pandas.read_parquet(folder / "accounts.parquet")
    same = folder / "same"
    frame.to_csv(same / "pandas-index.csv")
    frame.to_csv(same / "pandas.csv", index=False)
    pandas.read_csv(folder / "accounts.csv").to_csv(same / "pandas-reread.csv", index=False)
    pandas.read_csv(same / "pandas-index.csv").to_csv(same / "pandas-unnamed.csv")
    frame.reset_index().to_csv(same / "pandas-reset.csv", index=False)
    frame.to_parquet(same / "pandas.parquet")
    shuffled = frame.sample(frac=1, random_state=1)
    shuffled.to_parquet(same / "pandas-index.parquet")
    frame.rename(columns=str.upper).to_parquet(same / "pandas-upper.parquet")
    frame.rename(columns=lambda name: f" {name.title()} ").to_csv(same / "pandas-title.csv", index=False)
    for codec in ["snappy", "gzip", "brotli", "lz4", "zstd", None]:
        frame.to_parquet(same / f"pandas-{codec}.parquet", compression=codec)
    frame.astype({"platform": "category", "handle": "category"}).to_parquet(same / "pandas-category.parquet")
    frame.astype(object).where(frame.notna(), None).to_parquet(same / "pandas-object.parquet")
    frame.astype({name: "datetime64[ns, UTC]" for name in INSTANTS}).to_parquet(same / "pandas-ns.parquet")
    local = frame.assign(**{name: frame[name].dt.tz_localize(None) for name in INSTANTS})
    local.to_parquet(same / "pandas-local.parquet")
    local.to_csv(same / "pandas-local.csv", index=False)
    frame.assign(platform=frame["platform"].str.upper()).to_csv(same / "pandas-platform.csv", index=False)
    kolkata = frame.assign(**{name: frame[name].dt.tz_convert("Asia/Kolkata") for name in INSTANTS})
    kolkata.to_csv(same / "pandas-kolkata.csv", index=False)
    kolkata.to_parquet(same / "pandas-kolkata.parquet")


def with_pyarrow():
    table = pyarrow.parquet.read_table(folder / "accounts.parquet")
    texts = [field.name for field in table.schema if field.type == pyarrow.string()]

    def write(name, table=table, **options):
        pyarrow.parquet.write_table(table, folder / "same" / f"pyarrow-{name}.parquet", **options)

    def cast(type):
        columns = [table[name].cast(type) if name in texts else table[name] for name in table.column_names]
        return pyarrow.table(columns, names=table.column_names)

    for codec in ["snappy", "gzip", "brotli", "lz4", "zstd", "none"]:
        for version in ["1.0", "2.0"]:
            write(f"{codec}-{version}", compression=codec, data_page_version=version)
    write("large", cast(pyarrow.large_string()))
    write("view", cast(pyarrow.string_view()))
    encoded = [table[name].dictionary_encode() if name in texts else table[name] for name in table.column_names]
    write("dictionary", pyarrow.table(encoded, names=table.column_names))
    write("plain", use_dictionary=False, write_statistics=False)
    write("small", row_group_size=3, data_page_size=16, write_page_index=True)
    write("old", version="1.0", store_schema=False)
    write("int96", use_deprecated_int96_timestamps=True)
    for encoding in ["DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"]:
        columns = {name: encoding for name in texts} | {name: "DELTA_BINARY_PACKED" for name in INSTANTS}
        write(encoding.lower(), use_dictionary=False, column_encoding=columns)
    write("rle", use_dictionary=False, column_encoding={"discoverable": "RLE"}, data_page_version="2.0")
    write("order", table.select(table.column_names[::-1]))


def with_duckdb():
    def copy(name, options, query="SELECT * FROM accounts"):
        connection.execute(f"COPY ({query}) TO '{folder / 'same' / name}' ({options})")

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"CREATE TABLE accounts AS FROM '{folder / 'accounts.parquet'}'")
    copy("duckdb.csv", "FORMAT csv, HEADER")
    copy("duckdb-reread.csv", "FORMAT csv, HEADER", f"FROM '{folder / 'accounts.csv'}'")
    copy("duckdb.parquet", "FORMAT parquet")
    for codec in ["snappy", "zstd", "gzip", "lz4", "lz4_raw", "brotli", "uncompressed"]:
        copy(f"duckdb-{codec}.parquet", f"FORMAT parquet, COMPRESSION {codec}")
    copy("duckdb-v2.parquet", "FORMAT parquet, PARQUET_VERSION V2")
    local = ", ".join(f"{name}::TIMESTAMP AS {name}" for name in INSTANTS)
    copy("duckdb-local.csv", "FORMAT csv, HEADER", f"SELECT * REPLACE ({local}) FROM accounts")
    copy("duckdb-local.parquet", "FORMAT parquet", f"SELECT * REPLACE ({local}) FROM accounts")
    nanos = local.replace("TIMESTAMP", "TIMESTAMP_NS")
    copy("duckdb-ns.parquet", "FORMAT parquet", f"SELECT * REPLACE ({nanos}) FROM accounts")
    enum = "platform::ENUM ('ios', 'ipados', 'macos', 'watchos', 'visionos', 'other') AS platform"
    copy("duckdb-enum.parquet", "FORMAT parquet", f"SELECT * REPLACE ({enum}) FROM accounts")
    connection.execute("SET TimeZone = 'Asia/Kolkata'")
    copy("duckdb-kolkata.csv", "FORMAT csv, HEADER")


def with_polars():
    frame = polars.read_parquet(folder / "accounts.parquet")
    same = folder / "same"
    frame.write_csv(same / "polars.csv")
    polars.read_csv(folder / "accounts.csv").write_csv(same / "polars-reread.csv")
    polars.read_csv(folder / "accounts.csv", try_parse_dates=True).write_csv(same / "polars-dates.csv")
    frame.with_row_index().write_csv(same / "polars-index.csv")
    frame.write_parquet(same / "polars.parquet")
    for codec in ["lz4", "uncompressed", "snappy", "gzip", "brotli", "zstd"]:
        frame.write_parquet(same / f"polars-{codec}.parquet", compression=codec)
    frame.with_columns(polars.col("platform").cast(polars.Categorical)).write_parquet(same / "polars-category.parquet")
    nanos = polars.col(*INSTANTS).dt.cast_time_unit("ns")
    frame.with_columns(nanos).write_parquet(same / "polars-ns.parquet")
    frame.with_columns(polars.col(*INSTANTS).dt.replace_time_zone(None)).write_parquet(same / "polars-local.parquet")


def ids():
    # Of the last days: an import leaves out devices that were silent for long.
    today = datetime.datetime.now(datetime.UTC).date()
    at = pandas.to_datetime([f"{today - datetime.timedelta(days=days)}T08:00:00Z" for days in [3, 2]])
    uuids = [uuid.UUID(int=3), uuid.UUID(int=0xAB << 120)]
    rows = {"handle": ["+14155550123", "ben@example.com"], "platform": ["ios", "other"], "last_check_in_at": at}
    rows = pandas.DataFrame(rows | {"account": [17, 9_007_199_254_740_993], "device": [str(id) for id in uuids]})
    ids = folder / "ids"
    rows.to_csv(ids / "reference.csv", index=False)
    rows.to_parquet(ids / "int64.parquet")
    rows.astype({"account": "UInt64"}).to_parquet(ids / "uint64.parquet")
    rows.assign(name=float("nan"), token_hash=float("nan"), proved_at=pandas.NaT).to_parquet(ids / "nan.parquet")
    rows.assign(name=None, token_hash=None, discoverable=None).to_parquet(ids / "null.parquet")
    rows.assign(discoverable=[1, 1]).to_parquet(ids / "ones.parquet")
    rows.assign(discoverable=["TRUE", "t"]).to_csv(ids / "flags.csv", index=False)
    # Without `Int64`, pandas makes floating-point numbers of integers that lack one, and changes the second id.
    blank = rows.astype({"account": "Int64"}).reindex([0, 1, 2])
    blank.to_csv(ids / "blank-row.csv", index=False)
    blank.to_parquet(ids / "blank-row.parquet", index=False)
    seconds = pyarrow.table(pyarrow.Table.from_pandas(rows).columns, names=list(rows.columns))
    seconds = seconds.set_column(2, "last_check_in_at", seconds["last_check_in_at"].cast(pyarrow.timestamp("s", "UTC")))
    pyarrow.parquet.write_table(seconds, ids / "seconds.parquet")
    uuid_column = "SELECT * REPLACE (device::UUID AS device) FROM rows"
    duckdb.sql(f"COPY ({uuid_column}) TO '{ids / 'uuid.parquet'}'")
    return rows


def refused(rows):
    words = {}

    def path(name, *reason):
        words[name] = reason
        return folder / "refused" / name

    numbers = rows[rows["handle"].str.startswith("+")]
    rows.to_csv(path("semicolons.csv", "semicolons", "commas"), sep=";", index=False)
    rows.to_csv(path("tabs.csv", "tabs", "commas"), sep="\t", index=False)
    rows.to_csv(path("utf-16.csv", "UTF-16"), encoding="utf-16", index=False)
    rows.to_csv(path("utf-16-le.csv", "UTF-16"), encoding="utf-16-le", index=False)
    rows.to_csv(path("gzip.csv", "gzip"), compression="gzip", index=False)
    rows.to_csv(path("zip.csv", "ZIP"), compression="zip", index=False)
    rows.to_csv(path("csv.parquet", "no Parquet", ".csv"), index=False)
    rows.to_parquet(path("parquet.csv", ".parquet"))
    rows.to_json(path("json.csv", "JSON"), orient="records", lines=True, date_format="iso")
    pyarrow.feather.write_feather(rows, str(path("feather.parquet", "Feather")))
    rows.to_csv(path("no-header.csv", "no header"), index=False, header=False)
    rows.rename(columns={"handle": "hanlde"}).to_csv(path("typo.csv", "hanlde", "did you mean `handle`"), index=False)
    rows.assign(shoe_size=1).to_parquet(path("unknown.parquet", "shoe_size"))
    rows.assign(handle=[["a@example.com"], ["b@example.com"]]).to_parquet(path("list.parquet", "handle", "list"))
    rows.assign(account=[{"id": 1}, {"id": 2}]).to_parquet(path("struct.parquet", "account", "nested"))
    rows.assign(account=[1.0, None]).to_parquet(path("float.parquet", "account", "floating"))
    rows.assign(last_check_in_at=rows["last_check_in_at"].dt.date).to_parquet(path("date.parquet", "last_check_in_at", "date"))
    integers = numbers.assign(handle=numbers["handle"].astype("int64"))
    integers.to_parquet(path("integer-handle.parquet", "handle", "integer", "plus"))
    integers.to_csv(path("integer-handle.csv", "line 2", "write it with +"), index=False)
    integers.astype({"handle": "float64"}).to_parquet(path("float-handle.parquet", "handle", "floating"))
    integers.astype({"handle": "float64"}).to_csv(path("float-handle.csv", "line 2", "spreadsheet"), index=False)
    integers.astype({"handle": "float64"}).to_csv(
        path("scientific.csv", "line 2", "spreadsheet"), index=False, float_format="%.5E"
    )
    (folder / "refused.json").write_text(json.dumps(words))


with_pandas()
with_pyarrow()
with_duckdb()
with_polars()
refused(ids())

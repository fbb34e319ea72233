"""How the command line reads tables: what is written, and what it says of every column."""

import re
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skactprune.__main__ import main
from skactprune._cli.columns import PLACEHOLDERS, Cells, as_numbers, read_column
from skactprune._cli.data import MAX_LINES, table_data
from skactprune._cli.errors import UserError
from skactprune._cli.table import Reading

N = 40
NUMBERS = np.round(np.random.default_rng(0).normal(size=N) * 3000, 2)
OTHER = np.round(np.random.default_rng(1).normal(size=N), 2)


def data_of(path, columns, encoding="utf-8", sep=",", reading=None, **csv):
    """Data of a table with these columns and a label."""
    frame = pd.DataFrame({**columns, "label": ["x", "y"] * (N // 2)})
    frame.to_csv(path, index=False, encoding=encoding, sep=sep, **csv)
    return table_data(str(path), "label", 1, reading)


def features(data):
    return np.concatenate([data.splits[0].X_train, data.splits[0].X_test])


def said_of(data, name="a"):
    return next(line for line in data.said if line.startswith(repr(name)))


@pytest.fixture
def plain(tmp_path):
    """Features and lines of the table with plain numbers."""
    return features(data_of(tmp_path / "plain.csv", {"a": NUMBERS, "b": OTHER}))


def grouped(value, group, decimal):
    return f"{value:,.2f}".replace(",", "G").replace(".", decimal).replace("G", group)


WAYS = {
    "decimal commas": (lambda v: f"{v:.2f}".replace(".", ","), "numbers; with decimal commas"),
    "percent": (lambda v: f"{v:.2f}%", "numbers; in percent"),
    "percent and blank": (lambda v: f"{v:.2f} %", "numbers; in percent"),
    "thousands": (lambda v: grouped(v, ",", "."), "numbers; with ',' between thousands"),
    "German": (
        lambda v: grouped(v, ".", ","),
        "numbers; with decimal commas, with '.' between thousands",
    ),
    "blanks": (lambda v: grouped(v, " ", "."), "numbers; with ' ' between thousands"),
    "Swiss": (lambda v: grouped(v, "'", "."), 'numbers; with "\'" between thousands'),
    "minus": (lambda v: f"{v:.2f}".replace("-", "\u2212"), "numbers"),
    "exponents": (lambda v: f"{v:.6e}", "numbers"),
    "quoted and spaced": (lambda v: f"  {v:.2f} ", "numbers"),
}


@pytest.mark.parametrize("sep", [",", ";", "\t"])
@pytest.mark.parametrize("way", WAYS)
def test_numbers_are_numbers_however_they_are_written(way, sep, plain, tmp_path):
    write, said = WAYS[way]
    data = data_of(tmp_path / "a.csv", {"a": [*map(write, NUMBERS)], "b": OTHER}, sep=sep)
    np.testing.assert_allclose(features(data), plain, rtol=1e-5)
    assert said_of(data) == f"'a': {said}"


def test_a_table_of_the_german_locale(plain, tmp_path):
    data = data_of(tmp_path / "a.csv", {"a": NUMBERS, "b": OTHER}, sep=";", decimal=",")
    np.testing.assert_allclose(features(data), plain, rtol=1e-5)
    assert data.said[0] == "Read with ';' between cells; --sep says otherwise."


THOUSANDS = [f"{1 + i % 9}.{100 + i}" for i in range(N)]


@pytest.mark.parametrize(
    ("beside", "given", "factor"),
    [
        ("1,5", None, 1000),
        ("1.5", None, 1),
        ("15", None, 1),
        ("1,5", ".", 1),
        ("15", ",", 1000),
    ],
)
def test_what_can_be_read_in_two_ways_goes_by_the_other_columns(beside, given, factor, tmp_path):
    path = tmp_path / "a.csv"
    lines = [f"{a};{beside if i % 3 else 7};{'xy'[i % 2]}" for i, a in enumerate(THOUSANDS)]
    path.write_text("\n".join(["a;b;label", *lines]), encoding="utf-8")
    cells = Cells.of(np.array(THOUSANDS, dtype=object), ())
    expected = np.array(THOUSANDS, dtype=float) * factor
    data = table_data(str(path), "label", 1, Reading(decimal=given))
    column = features(data)[:, 0]
    # Standardized: the correlation alone would be the same; so the line tells, too.
    assert np.corrcoef(np.sort(column), np.sort(expected))[0, 1] > 0.999
    assert ("between thousands" in said_of(data)) == (factor == 1000)
    assert ("--decimal . reads them otherwise" in said_of(data)) == (factor > 1 and not given)
    values = read_column("a", cells, given, "," if factor > 1 else ".").values
    np.testing.assert_allclose(values, expected)


def test_quoted_commas_in_a_table_with_commas_stand_between_thousands(tmp_path):
    data = data_of(tmp_path / "a.csv", {"a": [f"{1 + i},{100 + i}" for i in range(N)]})
    assert "with ',' between thousands, --decimal , reads them otherwise" in said_of(data)


@pytest.mark.parametrize("mark", ["?", "-", "NA", "n/a", "null", "None", "nan", ".", "#N/A", ""])
def test_placeholders_among_numbers_are_missing(mark, tmp_path):
    column = [mark if i % 10 == 3 else str(value) for i, value in enumerate(NUMBERS)]
    data = data_of(tmp_path / "a.csv", {"a": column, "b": OTHER})
    assert features(data).shape[1] == 2
    among = f" (among them {mark!r})" * bool(mark)
    assert said_of(data) == f"'a': numbers; 4 missing{among}: filled with the mean"


@pytest.mark.parametrize("word", ["None", "NA", "null", "nan", "?", "-"])
def test_words_are_words_where_the_others_are(word, tmp_path):
    classes = ["Mild", "Severe", word]
    path = tmp_path / "a.csv"
    rows = [f"{i % 7},{classes[i // 3 % 3]},{classes[i % 3]}" for i in range(60)]
    path.write_text("\n".join(["b,a,label", *rows]), encoding="utf-8")
    data = table_data(str(path), "label", 1)
    split = data.splits[0]
    assert set(split.y_train) == set(classes)
    assert len(split.y_train) + len(split.y_test) == 60
    assert split.X_train.shape[1] == 1 + 3
    assert said_of(data) == f"'a': 3 categories; {word!r} among them (--na makes texts missing)"
    assert f"target, 3 classes; {word!r} among them" in said_of(data, "label")
    # Unless somebody says that they are none.
    data = table_data(str(path), "label", 1, Reading(na=(word,)))
    split = data.splits[0]
    assert set(split.y_train) == {"Mild", "Severe"}
    assert split.X_train.shape[1] == 1 + 2
    assert said_of(data, "label").endswith("; 20 rows without a label are left out")


def test_placeholders_among_numeric_labels_are_told_of(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,label\n" + "1,0\n2,1\n3,?\n" * 9, encoding="utf-8")
    data = table_data(str(path), "label", 1)
    assert said_of(data, "label").endswith("2 classes; 9 rows without a label ('?') are left out")
    assert set(data.splits[0].y_train) == {"0", "1"}


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["1", "1.0", "2", "+2"], {"1", "2"}),
        (["9007199254740992", "9007199254740993"], {"9007199254740992", "9007199254740993"}),
        (["True", "false"], {"True", "false"}),
        (["1", "x"], {"1", "x"}),
        (["a ", "a", "b"], {"a", "b"}),
        (["1" + "0" * 30, "2"], {"1" + "0" * 30, "2"}),
    ],
)
def test_labels_are_what_is_written(labels, classes, tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{i % 7},{labels[i % len(labels)]}" for i in range(60)]
    path.write_text("\n".join(["a,label", *rows]), encoding="utf-8")
    assert set(table_data(str(path), "label", 1).splits[0].y_train) == classes


def test_many_numeric_classes_are_told_of(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{i % 7},{i % 30}" for i in range(300)]
    path.write_text("\n".join(["a,label", *rows]), encoding="utf-8")
    assert (
        "30 classes; all of them numbers: compare classifies"
        in table_data(str(path), "label", 1).said[0]
    )


REMARKS = {
    "almost numbers": (
        [*map(str, range(30)), *["abc", "3 or 4"] * 5],
        "32 categories; almost numbers, but for 'abc', '3 or 4' in 10 of 40 rows",
        32,
    ),
    "mixed percent": (["5%", "5", "6", "7"] * 10, "almost numbers, but for '5%' in 10 of 40", 4),
    "names": ([f"row {i}" for i in range(N)], "left out, all values differ, as names and IDs", 0),
    "IDs": (range(100, 100 + N), "numbers; whole and all different, as IDs are", 1),
    "constant": (["u"] * N, "left out, one value only", 0),
    "constant number": (["3", "3", "", "?"] * 10, "left out, one value only", 0),
    "empty": ([""] * N, "left out, empty", 0),
    "long IDs": ([str(10**30 + i) for i in range(N)], "left out, the same number in all rows", 0),
    "dates": ([f"2024-0{1 + i % 9}-13" for i in range(N)], "dates, as days", 1),
    "times": ([f"2024-01-02T0{i % 9}:30:00+01:00" for i in range(N)], "dates, as days", 1),
    "no dates": ([f"2024-13-{10 + i % 9}" for i in range(N)], "9 categories", 9),
    "gaps": (["u", "v", "w", ""] * 10, "10 missing: filled with the most frequent", 3),
    "truth": (["True", "False"] * 20, "2 categories", 2),
    "many": ([f"w{i % 39}" for i in range(N)], "39 categories", None),
    "only placeholders": (["?", "-"] * 20, "2 categories; '?', '-' among them", 2),
}


@pytest.mark.parametrize("case", REMARKS)
def test_every_column_has_a_line(case, tmp_path):
    column, said, n_features = REMARKS[case]
    data = data_of(tmp_path / "a.csv", {"a": column, "b": OTHER})
    assert said in said_of(data)
    assert len(data.said) == 3
    if n_features is not None:
        # Of categories, those in the training rows.
        assert 1 <= features(data).shape[1] <= 1 + n_features
        assert (n_features == 0) == (features(data).shape[1] == 1)


def test_numbers_by_the_other_mark_are_told_of(tmp_path):
    columns = {"a": ["0.55", "0.5"] * 20, "b": OTHER}
    data = data_of(tmp_path / "a.csv", columns, reading=Reading(decimal=","))
    assert said_of(data) == "'a': 2 categories; numbers by --decimal ."


def test_a_wide_table_says_what_is_to_be_remarked(tmp_path):
    columns = {f"c{i}": OTHER for i in range(60)} | {f"k{i}": ["u"] * N for i in range(50)}
    data = data_of(tmp_path / "a.csv", columns)
    assert len(data.said) == 2 + MAX_LINES
    assert data.said[-1] == "further columns: 60 of numbers, 20 with such remarks"


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-8", []),
        ("utf-8-sig", []),
        ("utf-16", ["Read as utf-16, as it is no UTF-8; --encoding says otherwise."]),
        ("utf-32", ["Read as utf-32, as it is no UTF-8; --encoding says otherwise."]),
        ("cp1252", ["Read as cp1252, as it is no UTF-8; --encoding says otherwise."]),
    ],
)
@pytest.mark.parametrize("given", [False, True])
def test_encodings(encoding, said, given, plain, tmp_path):
    columns = {"gr\u00f6\u00dfe": NUMBERS, "b": OTHER}
    reading = Reading(encoding=encoding) if given else None
    data = data_of(tmp_path / "a.csv", columns, encoding=encoding, reading=reading)
    np.testing.assert_allclose(features(data), plain, rtol=1e-5)
    assert [line for line in data.said if line.startswith("Read")] == ([] if given else said)
    assert said_of(data, "gr\u00f6\u00dfe") == "'gr\u00f6\u00dfe': numbers"


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"a,label\n1,\xe4\n", ["--encoding", "utf-8"], "'utf-8' codec can't decode byte 0xe4"),
        ("a,label\n1,x\n".encode("utf-16-le"), [], "be in --encoding utf-16-le or"),
        (b"a,label\n1,x\n", ["--encoding", "idna"], "cannot be read as a CSV file: "),
        (b"a,label\n1,x,\n2,y,\n", [], "has a separator at the end of every row"),
        (b"a,label ,label\n1,2,x\n", [], "several columns 'label'"),
        (b"a,label\n" + b"%d,x\n%d,y\n" * 9 % tuple(range(18)), ["--na", "x"], "has only 'y'"),
        (b'n,label\n"r0",x\nr1,y\nr2,x\nr3,y\nr4,x\nr5,y\nr6,x\nr7,y\n', [], "to learn from: 'n: "),
        (b"PK\x03\x04 and so on", [], "is a zip archive, as Excel's .xlsx is; save the table as"),
        (b"\x1f\x8b and so on", [], "compressed by gzip; let its name end in .gz."),
        (b"sep=;\na;label\n1;x\n", [], "begins with 'sep=;', for Excel; remove that line: --sep"),
        (b"a,label\n" + b"1,x\n2,y\n3,x\n" * 9, ["--hidden", "1"], "leaves nothing to prune"),
        (b"PAR1 and no more", ["--sep", ";"], "--sep and --encoding are for CSV files"),
    ],
)
def test_tables_that_cannot_be_read(content, options, message, tmp_path, capsys):
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    assert main(["compare", str(path), "--target", "label", *options]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message in err


@pytest.mark.parametrize(
    "url", ["https://x.org/a.csv", "s3://b/a.csv", "file:///a.csv", "memory://a", "HTTP://x"]
)
def test_urls_are_refused(url, capsys):
    assert main(["compare", url, "--target", "label"]) == 2
    assert f"{url!r} is a URL" in capsys.readouterr().err


@pytest.mark.parametrize("sep", [",", ";", "\t", "|", " "])
def test_separators_are_seen(sep, plain, tmp_path):
    data = data_of(tmp_path / "a.csv", {"a": NUMBERS, "b": OTHER}, sep=sep)
    np.testing.assert_allclose(features(data), plain, rtol=1e-5)


def test_the_separator_is_that_which_makes_the_target_a_name(tmp_path):
    columns = {"size (x, y, z; w, approximately)": NUMBERS, "b": OTHER}
    data = data_of(tmp_path / "a.csv", columns, sep=";")
    assert features(data).shape[1] == 2
    data = data_of(tmp_path / "a.csv", columns, sep="~", reading=Reading(sep="~"))
    assert features(data).shape[1] == 2


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_quoted_line_breaks_line_ends_and_blanks(end, tmp_path):
    path = tmp_path / "a.csv"
    rows = ['"a\nb", c ,label', *['1, "u\nv",x', "2,w, y ", "3,w,x", " ,w,y"] * 5]
    path.write_bytes(end.join(rows).encode())
    data = table_data(str(path), "label", 1)
    assert set(data.splits[0].y_train) == {"x", "y"}
    assert said_of(data, "a\nb") == r"'a\nb': numbers; 5 missing: filled with the mean"
    assert said_of(data, "c") == "'c': 2 categories"


def test_row_names_as_r_writes_them(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f'"r{i}" {i % 5} {"xy"[i % 2]}' for i in range(N)]
    path.write_text("\n".join(['"a" "label"', *rows]), encoding="utf-8")
    data = table_data(str(path), "label", 1)
    assert features(data).shape[1] == 1
    assert "The first cell of each row, for which there is no name, is left out." in data.said


def parquet_like(frame, monkeypatch, path):
    path.write_bytes(b"PAR1")
    monkeypatch.setattr(pd, "read_parquet", lambda source: frame)


def test_parquet_is_read_as_the_same_csv_file(monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "a": NUMBERS,
            "n": pd.array(rng.integers(9, size=N), dtype="Int64"),
            "c": pd.Categorical(rng.choice(["NA", "Gd"], N)),
            "t": rng.random(N) > 0.5,
            "d": pd.date_range("2024-01-01", periods=N),
            "label": ["x", "y"] * (N // 2),
        }
    )
    frame.loc[3, ["a", "n"]] = None
    frame.to_csv(tmp_path / "a.csv", index=False)
    expected = table_data(str(tmp_path / "a.csv"), "label", 1)
    parquet_like(frame, monkeypatch, tmp_path / "a.parquet")
    data = table_data(str(tmp_path / "a.parquet"), "label", 1)
    assert data.said == expected.said
    np.testing.assert_allclose(features(data), features(expected), rtol=1e-6)
    parquet_like(frame.set_index("label"), monkeypatch, tmp_path / "a.parquet")
    np.testing.assert_array_equal(
        features(table_data(str(tmp_path / "a.parquet"), "label", 1)), features(data)
    )


def test_parquet_by_pyarrow(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"a": NUMBERS, "b": OTHER, "label": ["x", None, "y", "x"] * (N // 4)})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    data, expected = (table_data(str(tmp_path / f"a.{e}"), "label", 1) for e in ("parquet", "csv"))
    assert data.said == expected.said
    np.testing.assert_allclose(features(data), features(expected), rtol=1e-6)
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(UserError, match="cannot be read as a Parquet file"):
        table_data(str(tmp_path / "a.parquet"), "label", 1)


def test_parquet_without_pyarrow_says_what_to_install(monkeypatch, tmp_path, capsys):
    for name in ("pyarrow", "fastparquet"):
        monkeypatch.setitem(sys.modules, name, None)
    path = tmp_path / "a.pq"
    path.write_bytes(b"PAR1")
    assert main(["compare", str(path), "--target", "label"]) == 2
    assert "pip install pyarrow" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--sep", ""], "--sep: must be one ASCII character"),
        (["--sep", ",,"], "--sep: must be one ASCII character"),
        (["--decimal", ";"], "--decimal: invalid choice"),
        (["--encoding", "nonsense"], "--encoding: must be an encoding"),
        (["--encoding", "hex"], "--encoding: must be an encoding"),
    ],
)
def test_options_of_reading_are_checked(option, message, capsys):
    with pytest.raises(SystemExit):
        main(["compare", "a.csv", "--target", "label", *option])
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "option", [["--sep", ";"], ["--decimal", ","], ["--na", "?"], ["--encoding", "utf-8"]]
)
def test_options_of_reading_need_a_table(option, capsys):
    with pytest.raises(SystemExit):
        main(["compare", *option])
    assert re.search(f"{option[0]} says how a table is written", capsys.readouterr().err)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_is_read_as_python_reads_it(value):
    for decimal in ".,":
        text = repr(value).replace(".", decimal)
        np.testing.assert_array_equal(as_numbers([text], decimal).values, [value])


@given(st.integers(-(10**15), 10**15), st.sampled_from(" '\u202f"))
def test_any_integer_with_thousands_is_read(value, group):
    for decimal in ".,":
        text = f"{value:,}".replace(",", group)
        np.testing.assert_array_equal(as_numbers([text], decimal).values, [value])


@given(st.lists(st.text(max_size=8), min_size=1, max_size=12))
def test_any_texts_are_a_column(texts):
    cells = Cells.of(np.array(texts, dtype=object), ())
    known = [text.strip() for text in texts]
    assert [None if code < 0 else cells.texts[code] for code in cells.codes] == [
        text or None for text in known
    ]
    try:
        column = read_column("a", cells, None, None)
    except UserError as error:
        assert "infinite" in str(error)
        return
    assert column.said
    if column.numeric:
        for text, value in zip(known, column.values, strict=True):
            assert not np.isnan(value) or not text or text.lower() in PLACEHOLDERS


def test_dates_may_be_far_away(tmp_path):
    far = ["9999-12-31", "2024-01-31"] * (N // 2)
    data = data_of(tmp_path / "a.csv", {"a": NUMBERS, "until": far})
    # Of pandas before 3, dates end in the year 2262.
    said = "dates, as days" if int(pd.__version__.split(".")[0]) >= 3 else "2 categories"
    assert said_of(data, "until") == f"'until': {said}"


def test_columns_without_a_name_take_no_name_that_there_is(tmp_path):
    words = ["u", "v", "w", "x"] * (N // 4)
    data = data_of(tmp_path / "a.csv", {"a": NUMBERS, "column 3": words, "": OTHER})
    assert said_of(data, "column 3") == "'column 3': 4 categories"
    assert said_of(data, "column 3, unnamed") == "'column 3, unnamed': numbers"


def test_a_copy_of_the_target_is_nothing_to_compare(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("a,label\n" + "1,x\n2,y\n" * 9)
    assert main(["compare", str(tmp_path / "a.csv"), "--target", "label"]) == 2
    assert "no column varies among the rows of a class" in capsys.readouterr().err

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cellwright.errors import InputError
from cellwright.knowledge import tables
from cellwright.knowledge.functions import GeneFunctions
from cellwright.knowledge.sources import catalogue
from cellwright.knowledge.sources.functions import compile_functions


def make_files(folder: Path) -> dict[str, Path]:
    genes, terms = folder / catalogue.GO_GENES.file, folder / catalogue.GO_TERMS.file
    with closing(sqlite3.connect(terms)) as link:
        link.execute("CREATE TABLE go_term (go_id TEXT, term TEXT, definition TEXT)")
        rows = [("GO:0000007", "glucose uptake", "prose"), ("GO:0000008", "unused", "prose")]
        link.executemany("INSERT INTO go_term VALUES (?, ?, ?)", [("all", "all", ""), *rows])
        link.commit()
    with closing(sqlite3.connect(genes)) as link:
        link.execute("CREATE TABLE genes (_id INTEGER, gene_id TEXT)")
        link.executemany("INSERT INTO genes VALUES (?, ?)", [(1, "3630"), (2, "9")])
        for table in ("go_bp", "go_mf", "go_cc"):
            link.execute(f"CREATE TABLE {table} (_id INTEGER, go_id TEXT, evidence TEXT)")
        found = [(1, "GO:0000007", "IDA"), (1, "GO:0000007", "IEA"), (2, "GO:0000008", "ND")]
        link.executemany("INSERT INTO go_bp VALUES (?, ?, ?)", found)
        link.execute("CREATE TABLE pubmed (_id INTEGER, pubmed_id TEXT)")
        link.executemany("INSERT INTO pubmed VALUES (?, ?)", [(1, "11"), (1, "12"), (2, "13")])
        link.commit()
    return {one.name: one for one in (genes, terms)}


def test_genes_have_their_terms_and_publications(tmp_path: Path) -> None:
    for name, columns in compile_functions(make_files(tmp_path)).items():
        tables.write(tmp_path, name, columns, {})
    functions = GeneFunctions(tmp_path)
    assert functions.of(3630) == ("glucose uptake",)
    assert functions.publications(3630) == 2
    assert functions.of(9) == ()
    assert functions.publications(10) == 0
    assert "definition" not in tables.columns(tables.read("function_terms", tmp_path))


def test_databases_are_checked(tmp_path: Path) -> None:
    paths = make_files(tmp_path)
    for one in (catalogue.GO_GENES, catalogue.GO_TERMS):
        catalogue.check(one, paths[one.file])
    with pytest.raises(InputError, match="go_bp"):
        catalogue.check(catalogue.GO_GENES, paths[catalogue.GO_TERMS.file])
    paths[catalogue.GO_TERMS.file].write_bytes(b"SQLite format 3\0cut off")
    with pytest.raises(InputError, match="damaged"):
        catalogue.check(catalogue.GO_TERMS, paths[catalogue.GO_TERMS.file])


def test_insulin_is_a_hormone_of_which_much_is_written() -> None:
    functions = GeneFunctions()
    assert "hormone activity" in functions.of(3630)
    assert functions.publications(3630) > functions.publications(1)

"""The measure of how rightly files are read, the manifest of the samples, and the samples that are written here."""

import json
import sys

import pytest

from experiments.reading_accuracy import agreement, main, plain, tables
from experiments.reading_samples import MANIFEST, lay_out, reference_path
from experiments.reading_tools import TOOLS

SORTS = {"companion", "tool", "source", "itself", "none"}
LINES = "The mill was built in 1787.\nIt stood still from 1931 to 1994."
SAMPLES = json.loads(MANIFEST.read_text("utf-8"))


@pytest.fixture
def no_tools(monkeypatch):
    """Keep the other tools away, whether this machine has them or not."""
    monkeypatch.setenv("PATH", "")


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        (LINES.replace("\n", " "), LINES),
        ("“Mill” of 2 m³", '"Mill"  of\n2 m^3'),
        ("# Yield\n\n| Year | Rye |\n|------|-----|\n| 2021 | 4102 |", "Yield\nYear\tRye\n2021\t4102"),
        ("契約による\n水の量", "契約による水の量"),
        ("", " \n"),
    ],
)
def test_line_breaks_quotes_and_drawn_signs_do_not_count(text, reference):
    assert agreement(text, reference) == {"right": 1, "kept": 1, "pure": 1, "in_order": 1}


def test_what_is_lost_lowers_what_is_kept_alone():
    shares = agreement(LINES.split("\n")[0], LINES)

    assert shares["pure"] == 1
    assert shares["kept"] == shares["in_order"] == pytest.approx(6 / 13)
    assert shares["right"] == pytest.approx(2 * 23 / (23 + 57))


def test_what_is_added_lowers_purity_alone():
    shares = agreement(f"Home About Contact {LINES}", LINES)

    assert shares["kept"] == shares["in_order"] == 1
    assert shares["pure"] == pytest.approx(13 / 16)


def test_signs_between_cells_are_no_words():
    shares = agreement("Year, Rye; 2021: 4102", "Year\tRye\n2021\t4102")

    assert shares["right"] < 0.5
    assert shares["kept"] == shares["pure"] == shares["in_order"] == 1


def test_each_sign_of_japanese_is_a_word():
    assert agreement("契約による水の量", "契約と水の量")["kept"] == pytest.approx(5 / 6)


@pytest.mark.parametrize(
    "read", ["TheMill was built in 1787", "The Mill was built in 1878", "The Mill was b uilt in 1787"]
)
def test_glued_divided_and_wrong_words_are_seen(read):
    assert agreement(read, "The Mill was built in 1787")["right"] < 0.9


def test_interleaved_columns_are_seen_in_the_order():
    left, right = [f"left{n}" for n in range(20)], [f"right{n}" for n in range(20)]
    woven = " ".join(word for pair in zip(left, right, strict=True) for word in pair)

    assert agreement(woven, " ".join(left + right))["in_order"] < 0.6


def test_a_sign_of_a_number_stays():
    assert plain("- from -5\n- to +3") == "from -5 to +3"


def test_every_sample_says_where_it_is_from_and_what_it_is_compared_with():
    assert len({sample["name"] for sample in SAMPLES}) == len(SAMPLES) >= 60
    for sample in SAMPLES:
        name, source, reference = sample["name"], sample["source"], sample["reference"]
        assert set(source) in ({"package", "path"}, {"repository", "commit", "path"}, {"written"}), name
        assert all(sample[key] for key in ("kind", "holds", "licence")), name
        assert reference["sort"] in SORTS and reference.get("by", "itself") in TOOLS, name
        assert ("path" in reference) == (reference["sort"] == "companion"), name
        assert ("written" in source) == name.startswith("written-"), name
        if "written" not in source:
            assert len(sample["sha256"]) == 64, name
        if "package" in source:
            assert source["package"].count("==") == 1, name


def test_written_samples_are_laid_out_with_their_text(tmp_path, no_tools):
    written = [s for s in SAMPLES if "written" in s["source"] and not s["name"].startswith("written-article")]

    (missing,) = lay_out(tmp_path, written, None)

    assert missing.startswith("written-article: ")
    for sample in written:
        assert (tmp_path / sample["name"]).stat().st_size > 50
        assert reference_path(tmp_path, sample["name"]).exists() == (sample["reference"]["sort"] == "source")


def test_a_column_is_measured_kept_and_written_as_tables(tmp_path, no_tools):
    lay_out(tmp_path / "samples", [], None)
    results, document = tmp_path / "results.json", tmp_path / "reading.md"
    document.write_text("Before\n<!-- samples: begin -->\nold\n<!-- samples: end -->\nAfter\n")
    for column in ("before", "after"):
        given = ["--samples", str(tmp_path / "samples"), "--out", str(results), "--column", column]
        assert main([*given, "--only", "written-mixed", "--table", str(document)]) == 0

    rows = json.loads(results.read_text("utf-8"))
    assert [(row["column"], row["name"], row["right"]) for row in rows] == [
        ("before", "written-mixed-utf_16.txt", 1.0),
        ("after", "written-mixed-utf_16.txt", 1.0),
    ]
    text = document.read_text("utf-8")
    assert text.startswith("Before\n") and text.endswith("After\n") and "\nold\n" not in text
    assert "| text | 17 | 1.000 | 1.000 | 1.000 | 1.000 | 0 | 1.000 | 1.000 | 1.000 | 1.000 | 0 |" in text


def test_a_refusal_is_named_in_the_table():
    manifest = [{"name": "a.xlsx", "kind": "xlsx", "holds": "sheets", "reference": {"sort": "tool", "by": "soffice"}}]
    refused = {
        "refused": "UnsupportedDocument",
        "seconds": 0.1,
        "right": 0.0,
        "kept": 0.0,
        "pure": 0.0,
        "in_order": 0.0,
    }

    table = tables(manifest, {"before": {"a.xlsx": refused}})

    assert "| xlsx | 1 | 0.000 | 0.000 | 0.000 | 0.000 | 1 |" in table
    assert "| a.xlsx | sheets | tool (soffice) | UnsupportedDocument |  |  | 0.10 |" in table


def test_another_checkout_comes_first(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))

    main(["--out", str(tmp_path / "r.json"), "--samples", str(tmp_path), "--only", "none", "--checkout", str(tmp_path)])

    assert sys.path[0] == str(tmp_path)

"""The project is laid out as its page on design says."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
MODEL, KERNEL, ADJOINT, OPERATOR, ORACLE, TEST = range(6)


def models() -> list[list[str]]:
    """Rows of the table of models: their name, and five paths."""
    page = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    section = page.partition("## Where each model is\n")[2].partition("\n## ")[0]
    rows = [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"
    ]
    assert rows[0] == ["model", "kernel", "adjoint", "operator", "oracle", "test"]
    return rows[2:]


def test_the_files_of_each_model_are_where_the_page_on_design_says():
    names = [row[MODEL] for row in models()]
    for word in ("scatter", "sub-aperture", "rays, ideal", "rays, biconvex", "splat", "Gaussian", "semi-global", "released"):
        assert any(word in name for name in names), word
    for row in models():
        ours = [row[column] for column in (KERNEL, ADJOINT, OPERATOR, ORACLE) if row[column] != "–"]
        for path in [*(ROOT / "taichi_bokeh" / name for name in ours), ROOT / row[TEST]]:
            assert path.is_file(), f"{row[MODEL]}: {path}"

"""The shipped exhibits: every entry of conf/report can be made, and claims an experiment that exists."""

from pathlib import Path

import pytest
import yaml
from hydra.utils import instantiate

from syneff.report.exhibits import EVERYTHING, Exhibit
from syneff.report.tidy import collect, published
from tests.report import results

CONF = Path(__file__).resolve().parents[2] / "conf"
ENTRIES = [
    pytest.param(entry, id=f"{path.stem}-{name}")
    for path in sorted((CONF / "report").glob("*.yaml"))
    for name, entry in (yaml.safe_load(path.read_text(encoding="utf-8")).get("exhibits") or {}).items()
]


@pytest.mark.parametrize("entry", ENTRIES)
def test_entry_is_an_exhibit_of_an_experiment_that_exists(entry: dict[str, object]) -> None:
    exhibit = instantiate(entry, _convert_="object")
    assert isinstance(exhibit, Exhibit)
    claimed = {
        yaml.safe_load(path.read_text(encoding="utf-8"))["experiment"] for path in (CONF / "experiment").glob("*.yaml")
    }
    assert exhibit.experiment in {*claimed, EVERYTHING}
    columns = [exhibit.paper_column] if exhibit.paper_column else list(exhibit.columns)
    for column in columns[:1] if exhibit.paper else []:
        cells = collect(*results.stored(results.table03("7")))["table03"]
        assert len(published(exhibit.paper, cells, column)) > 0
    assert exhibit.paper is None or columns, "an exhibit beside the paper says which columns it should have"


def test_the_paper_has_its_four_exhibits() -> None:
    assert {"paper-table02", "paper-table03", "paper-figure01", "paper-figure02"} <= {
        str(entry.id) for entry in ENTRIES
    }

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from telemhq_agents.collecting import Explained, Verdict
from telemhq_cli.render.explained import Explanation, Sums, sum_table

DOUBT = "output_lower_bound"
FIRST = Explained(Path("/log"), 1, 0, Verdict.COUNTED, "rule", "claude:1", estimate=DOUBT)
FINAL = replace(FIRST, line=2, verdict=Verdict.GREW, estimate="")
COPY = replace(FIRST, line=3, verdict=Verdict.SKIPPED)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([FIRST], ["Estimate: the log tells only a lower bound of the output."]),
        ([FIRST, FINAL, COPY], []),
        ([replace(FIRST, estimate="as it is")], ["Estimate: as it is."]),
    ],
    ids=["a doubt", "no longer", "in the log's own words"],
)
def test_an_estimate_is_named_where_what_counts_in_the_end_is_one(
    lines: list[Explained], said: list[str]
) -> None:
    told = Explanation("claude", "s1", lines, Sums(1))

    assert list(sum_table(told).notes[1:]) == said

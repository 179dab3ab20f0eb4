"""All tools, written out by hand."""

from typing import Any

from cellwright.tools.annotate_cells import ANNOTATE_CELLS
from cellwright.tools.ask_cell import ASK_CELL
from cellwright.tools.compare_groups import COMPARE_GROUPS
from cellwright.tools.describe_dataset import DESCRIBE_DATASET
from cellwright.tools.explain_cells import EXPLAIN_CELLS
from cellwright.tools.find_markers import FIND_MARKERS
from cellwright.tools.generate_cells import GENERATE_CELLS
from cellwright.tools.match_markers import MATCH_MARKERS
from cellwright.tools.plot_cells import PLOT_CELLS
from cellwright.tools.predict_drug_response import TOOL
from cellwright.tools.preprocess_dataset import PREPROCESS_DATASET
from cellwright.tools.search_knowledge import SEARCH_KNOWLEDGE
from cellwright.tools.spec import ToolSpec
from cellwright.tools.subset_cells import SUBSET_CELLS

ALL_TOOLS: tuple[ToolSpec[Any, Any], ...] = (
    DESCRIBE_DATASET,
    PREPROCESS_DATASET,
    SUBSET_CELLS,
    ANNOTATE_CELLS,
    TOOL,
    GENERATE_CELLS,
    EXPLAIN_CELLS,
    FIND_MARKERS,
    COMPARE_GROUPS,
    SEARCH_KNOWLEDGE,
    MATCH_MARKERS,
    PLOT_CELLS,
    ASK_CELL,
)

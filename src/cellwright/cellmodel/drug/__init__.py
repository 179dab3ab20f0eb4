"""Transfer of drug response from bulk cell-line screens to single cells."""

from cellwright.cellmodel.drug.transfer import DrugScores, DrugTransfer, NearestLine

__all__ = ["DrugScores", "DrugTransfer", "NearestLine"]

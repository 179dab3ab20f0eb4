"""What happens to gene names on their way through spreadsheets, R and reference builds."""

import re

ENSEMBL = re.compile(r"^ENS(MUS)?G(\d{11})(\.\d+)?(_PAR_Y)?$", re.IGNORECASE)
COMPOSITE = re.compile(r"^(ENS(?:MUS)?G\d{11})(?:\.\d+)?[_|:;-](.+)$", re.IGNORECASE)
REFERENCE = re.compile(
    r"^(hg19|hg38|GRCh37|GRCh38|b37|human|mm9|mm10|mm39|GRCm38|GRCm39|mouse)[-_.:]+(?=\S)",
    re.IGNORECASE,
)
AUTHORITY = re.compile(r"^(HGNC|MGI):(?:(?:HGNC|MGI):)?(\d+)$", re.IGNORECASE)
LOC = re.compile(r"^LOC(\d+)$", re.IGNORECASE)
CLONE_VERSION = re.compile(r"^[A-Z]{1,4}\d{5,}\.\d+$")
COPY = re.compile(r"^(.+?)(?:_loc\d+|_dup\d+|--\d+)$")
NUMBERED = re.compile(r"^(.+?)[.-]\d{1,2}$")
RIKEN = re.compile(r"^(?:[A-Z]?\d{6,}[A-Z]\d{2}|[A-Z]\d{5,}[A-Z]\d{2})RIK\d?$")
PREDICTED = re.compile(r"^Gm\d+$", re.IGNORECASE)

NUMBER = "the number of a repeated name"
MOUSE_REFERENCES = frozenset({"mm9", "mm10", "mm39", "grcm38", "grcm39", "mouse"})
MONTHS = (
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
)  # fmt: skip
DATED = {"mar": ("MARCH", "MARC"), "sep": ("SEPT",), "dec": ("DEC",), "oct": ("OCT",)}
"""Gene families whose old symbols a spreadsheet reads as dates."""

_DAY_MONTH = re.compile(r"^(\d{1,2})[-/. ]([A-Za-z]{3,9})(?:[-/. ]\d{2,4})?$")
_MONTH_DAY = re.compile(r"^([A-Za-z]{3,9})[-/. ](\d{1,2})$")
_ISO = re.compile(r"^\d{4}[-/](\d{2})[-/](\d{2})(?: 00:00:00)?$")


def reference(name: str) -> tuple[str, str]:
    """Split a reference prefix such as ``hg38_`` off a name; the prefix comes lower-cased."""
    found = REFERENCE.match(name)
    if not found:
        return "", name
    return found.group(1).lower(), name[found.end() :]


def undate(name: str) -> tuple[str, ...]:
    """Return the old symbols that a spreadsheet may have turned into this date.

    >>> undate("1-Mar")
    ('MARCH1', 'MARC1')
    >>> undate("2021-09-07")
    ('SEPT7',)
    """
    month, day = "", ""
    if found := _DAY_MONTH.match(name):
        day, month = found.groups()
    elif found := _MONTH_DAY.match(name):
        month, day = found.groups()
    elif found := _ISO.match(name):
        number = int(found.group(1))
        month, day = MONTHS[number - 1] if 1 <= number <= len(MONTHS) else "", found.group(2)
    return tuple(f"{family}{int(day)}" for family in DATED.get(month[:3].lower(), ()))


def variants(name: str) -> tuple[tuple[str, str], ...]:
    """Return other spellings of a name to try, each with the reason it may be wrong."""
    found = []
    if "." in name and not CLONE_VERSION.match(name):
        found.append((name.replace(".", "-"), "dots put for hyphens, as R does"))
    if name[:1] == "X" and name[1:2].isdigit():
        found.append((name[1:], "an X put before a digit, as R does"))
    if copy := COPY.match(name):
        found.append((copy.group(1), "the suffix of a repeated name"))
    elif (copy := NUMBERED.match(name)) and not CLONE_VERSION.match(name):
        found.append((copy.group(1), NUMBER))
    if "_" in name:
        found.append((name.replace("_", "-"), "underscores put for hyphens"))
    if "|" in name or "::" in name:
        found.append((name.replace("::", "|").split("|")[0], "a composite name"))
    return tuple(found)

"""Read the text of SmartArt diagrams of Office files, a point a line, indented by how deep it stands."""

from collections import defaultdict

from lxml import etree

DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
RELATION_IDS = f"{DIAGRAM}relIds"
DATA_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}dm"
_DEEPEST = 8


def diagram_text(data: etree._Element) -> str:
    """Read a diagram's data; its points are stored in the order of their making, and joined to the order to be read."""
    texts = {point.get("modelId", ""): _text(point) for point in data.iter(f"{DIAGRAM}pt")}
    below: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for join in data.iter(f"{DIAGRAM}cxn"):
        if join.get("type", "parOf") == "parOf":
            order = join.get("srcOrd", "")
            below[join.get("srcId", "")].append((int(order) if order.isdecimal() else 0, join.get("destId", "")))
    whole = [point.get("modelId", "") for point in data.iter(f"{DIAGRAM}pt") if point.get("type") == "doc"]
    lines: list[str] = []
    stack = [(point, -1) for point in reversed([*whole, *(point for point in texts if point not in whole)])]
    while stack:
        point, depth = stack.pop()
        if text := texts.pop(point, ""):
            lines.append("  " * min(max(depth, 0), _DEEPEST) + text)
        stack += [(child, depth + 1) for _, child in sorted(below.pop(point, ()), reverse=True)]
    return "\n".join(lines)


def _text(point: etree._Element) -> str:
    paragraphs = ("".join(run.text or "" for run in paragraph.iter("{*}t")) for paragraph in point.iter("{*}p"))
    return " ".join(" ".join(paragraphs).split())

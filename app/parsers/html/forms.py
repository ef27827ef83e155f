"""Write what a form's fields show: ticks, chosen options and typed values."""

from bs4 import Tag

FIELDS = {"input", "select", "progress", "meter"}
_TICKED = {"checkbox", "radio"}
_UNSEEN = {"hidden", "password", "file", "image", "color"}


def field_text(field: Tag) -> str:
    """Return the text of a field, "" if it shows none; an option that is not chosen shows nowhere."""
    if field.name == "select":
        return ", ".join(_label(option) for option in _chosen(field))
    value = " ".join(str(field.get("value", "")).split())
    if field.name != "input":
        return f"{value}/{field.get('max', '1')}" if value else ""
    kind = str(field.get("type", "text")).lower()
    if kind in _TICKED:
        return "[x]" if field.has_attr("checked") else "[ ]"
    return "" if kind in _UNSEEN else value


def _chosen(select: Tag) -> list[Tag]:
    options = select.find_all("option")
    chosen = [option for option in options if option.has_attr("selected")]
    several = select.has_attr("multiple")
    # Without a choice, a drop-down list shows its first option; of several choices, it shows the last.
    return chosen if several else chosen[-1:] or options[:1]


def _label(option: Tag) -> str:
    return " ".join((option.get_text() or str(option.get("label", ""))).split())

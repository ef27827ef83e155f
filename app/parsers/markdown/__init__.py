"""Parse Markdown."""

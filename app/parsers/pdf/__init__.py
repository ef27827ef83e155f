"""Parse PDF."""

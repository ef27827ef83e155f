"""Parse text, and data that is written as text."""

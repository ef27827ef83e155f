"""Parse Word documents."""

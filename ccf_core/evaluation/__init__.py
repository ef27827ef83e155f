"""Measures an adapter on rows of text and questions: what a memory keeps, and what it costs."""

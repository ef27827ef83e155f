"""Measure an adapter on rows of text and questions: what a memory keeps of them, and what it costs."""

"""The page: one file a tab, components first, then events. Handlers are thin; the use cases are the workbench's."""

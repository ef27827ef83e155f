"""The page's tabs: one file each, components first, then events. Handlers are thin; the use cases are the workbench's."""

"""The application: the use cases of the workbench, its page and its command line."""

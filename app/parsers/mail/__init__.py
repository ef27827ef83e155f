"""Parse mails and pages that are saved as mails."""

"""The scan of a file for malware before it is read (docs/scanning.md)."""

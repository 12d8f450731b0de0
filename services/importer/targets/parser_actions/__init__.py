"""The parser actions target: a file that is read only for the findings that its scanner knows."""

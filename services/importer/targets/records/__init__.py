"""The records target: rows of an AppFile workspace, each a document with a primary key."""

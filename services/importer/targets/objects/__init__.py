"""The objects target: objects of the object types of a workspace, by the mapping of an import source."""

"""The engine runs one import: stream, parse, stage, flip. Written once, for all targets."""

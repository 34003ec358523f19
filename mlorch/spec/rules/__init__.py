"""What a schema cannot say: names, edges, paths, expressions, commands, time."""

"""What people and programs see. State becomes plain rows once; tables, lines, JSON and annotations are made of the same rows."""

"""A project put together: specs, state, files and the loop behind the commands."""

"""What touches the machine: files, journal, locks, clock, git. Behind the ports of `model.ports`."""

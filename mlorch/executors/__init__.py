"""Where attempts run. The supervisor imports this package without site-packages: nothing but text may stand here."""

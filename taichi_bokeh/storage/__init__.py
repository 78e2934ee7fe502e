"""Files that appear whole or not at all, locks, fingerprints, and work in several processes."""

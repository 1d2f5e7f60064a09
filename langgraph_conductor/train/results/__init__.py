"""What a training leaves: diagnostics and their report, adapters, hashes, and a card."""

"""Personal data in requests: found by form and checksum, replaced by placeholders, and put back into answers."""

"""What outlives the process: the books, and how they are read and checked. Stores never decide."""

"""Parts of `checkpoint`: the log, the states it speaks of, and bringing one back as a whole or not at all."""
